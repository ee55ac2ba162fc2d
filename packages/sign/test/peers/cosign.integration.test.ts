import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestSigstore } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry } from '../../src/referrers/collect-signatures.ts';
import { pushSignatures } from '../../src/referrers/push-signatures.ts';
import { signImage } from '../../src/signing/sign-images.ts';
import {
  SIGNATURE_PREDICATE,
  SPDX_PREDICATE,
  statementAbout,
} from '../../src/statement/statement.ts';
import type { TrustedSigners, Verification } from '../../src/verify/verification.ts';
import { verifyImage } from '../../src/verify/verify-image.ts';
import {
  keyless,
  newKey,
  type Fixture,
  createFixture,
  run,
  sigstore,
  temporary,
  WORKFLOW,
} from '../support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';
const PREDICATE = {
  buildDefinition: { buildType: 'https://example.org/build', externalParameters: {} },
  runDetails: { builder: { id: 'https://example.org/builder' } },
};

/** Variables that keep cosign from using the public instance. */
function roots({ directory }: TestSigstore): Readonly<Record<string, string>> {
  return {
    SIGSTORE_ROOT_FILE: join(directory, 'fulcio.pem'),
    SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: join(directory, 'ctfe.pub'),
    SIGSTORE_REKOR_PUBLIC_KEY: join(directory, 'rekor.pub'),
  };
}

async function verified(
  { registry, name, subject }: Fixture,
  trust: TrustedSigners,
): Promise<Verification> {
  const { digest } = subject;
  const collected = await collectFromRegistry(registry, { ...name, digest });
  return verifyImage({ subject: digest, collected, trust });
}

const noLog = ['--insecure-ignore-tlog=true'];

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('in a registry %s, cosign', (_what, options) => {
  it.each(['ecdsa', 'ed25519'] as const)('accepts a signature by a key: %s', async (type) => {
    const fixture = await createFixture(options);
    const { store, subject, name, registry, reference } = fixture;
    const { signer, directory } = await newKey({}, type);
    const statement = statementAbout(
      { name: 'app', digest: subject.digest },
      PROVENANCE,
      PREDICATE,
    );
    await signImage(store, { subject, name, statements: [statement], signer });
    await pushSignatures(registry, store, name, subject.digest);
    const key = ['--key', join(directory, 'cosign.pub')];
    expect(await run('cosign', ['verify', ...key, ...noLog, reference])).toMatchObject({
      status: 0,
      output: expect.stringContaining(subject.digest) as string,
    });
    const root = join(directory, 'empty-root.json');
    await run('cosign', ['trusted-root', 'create', '--out', root]);
    for (const predicateType of [SIGNATURE_PREDICATE, PROVENANCE]) {
      const bundles = ['--new-bundle-format', '--trusted-root', root, '--type', predicateType];
      const args = ['verify-attestation', ...bundles, ...key, ...noLog, reference];
      expect(await run('cosign', args), predicateType).toMatchObject({ status: 0 });
    }
    const old = ['verify-attestation', ...key, ...noLog, '--type', PROVENANCE, reference];
    expect(await run('cosign', old)).toMatchObject({ status: 0 });
    const other = await newKey();
    const wrong = ['--key', join(other.directory, 'cosign.pub'), ...noLog];
    expect((await run('cosign', ['verify', ...wrong, reference])).status).not.toBe(0);
  });

  it('accepts a signature by an identity', async () => {
    const { store, subject, name, registry, reference } = await createFixture(options);
    const instance = await sigstore();
    const { signer } = await keyless(instance);
    const statement = statementAbout(
      { name: 'app', digest: subject.digest },
      PROVENANCE,
      PREDICATE,
    );
    await signImage(store, { subject, name, statements: [statement], signer });
    await pushSignatures(registry, store, name, subject.digest);
    const who = [
      '--certificate-identity',
      WORKFLOW,
      '--certificate-oidc-issuer',
      instance.issuer.url,
    ];
    const env = roots(instance);
    const old = await run('cosign', ['verify', ...who, '--offline', reference], env);
    expect(old).toMatchObject({ status: 0 });
    const attested = ['verify-attestation', ...who, '--offline', '--type', PROVENANCE, reference];
    expect(await run('cosign', attested, env)).toMatchObject({ status: 0 });
    const root = ['--trusted-root', join(instance.directory, 'trusted_root.json')];
    for (const type of [SIGNATURE_PREDICATE, PROVENANCE]) {
      const bundles = ['--new-bundle-format', ...root, '--type', type];
      const args = ['verify-attestation', ...bundles, ...who, reference];
      expect(await run('cosign', args, env), type).toMatchObject({ status: 0 });
    }
  });

  it.each(['ecdsa', 'ed25519'] as const)(
    'signs with a key and lkt accepts it: %s',
    async (type) => {
      const fixture = await createFixture(options);
      const { trust, directory } = await newKey({}, type);
      const key = ['--key', join(directory, 'cosign.key'), '-y', '--tlog-upload=false'];
      expect(await run('cosign', ['sign', ...key, fixture.reference])).toMatchObject({ status: 0 });
      const predicate = join(directory, 'predicate.json');
      await writeFile(predicate, JSON.stringify(PREDICATE));
      const attest = ['attest', ...key, '--type', 'slsaprovenance1', '--predicate', predicate];
      for (const format of [[], ['--new-bundle-format']])
        expect(await run('cosign', [...attest, ...format, fixture.reference])).toMatchObject({
          status: 0,
        });
      const { signatures, rejections } = await verified(fixture, trust);
      expect(rejections).toEqual([]);
      expect(signatures.map(({ predicateType }) => predicateType).toSorted()).toEqual(
        [PROVENANCE, PROVENANCE, SIGNATURE_PREDICATE].toSorted(),
      );
      const [provenance] = signatures.filter(({ predicateType }) => predicateType === PROVENANCE);
      expect(provenance?.predicate).toMatchObject(PREDICATE);
    },
  );

  it('signs as an identity and lkt accepts it', async () => {
    const fixture = await createFixture(options);
    const instance = await sigstore();
    const { trust } = await keyless(instance, { subject: 'jane@example.org' });
    const token = instance.issuer.token('jane@example.org');
    const services = ['--fulcio-url', instance.url, '--rekor-url', instance.url];
    const common = ['-y', ...services, '--identity-token', token];
    const env = roots(instance);
    const signed = await run('cosign', ['sign', ...common, fixture.reference], env);
    expect(signed).toMatchObject({ status: 0 });
    const predicate = join(await temporary(), 'sbom.json');
    await writeFile(predicate, JSON.stringify({ spdxVersion: 'SPDX-2.3' }));
    const attest = ['attest', ...common, '--type', 'spdxjson', '--predicate', predicate];
    for (const format of [[], ['--new-bundle-format']])
      expect(await run('cosign', [...attest, ...format, fixture.reference], env)).toMatchObject({
        status: 0,
      });
    const { signatures, rejections } = await verified(fixture, trust);
    expect(rejections).toEqual([]);
    expect(signatures.map(({ predicateType }) => predicateType).toSorted()).toEqual(
      [SIGNATURE_PREDICATE, SPDX_PREDICATE, SPDX_PREDICATE].toSorted(),
    );
    expect(new Set(signatures.map(({ signer }) => JSON.stringify(signer))).size).toBe(1);
  });
});

describe('the test log', () => {
  it('passes rekor-cli’s checks of entries and proofs', async () => {
    const { store, subject, name } = await createFixture();
    const instance = await sigstore();
    for (let count = 0; count < 3; count += 1) {
      const { signer } = await keyless(instance);
      await signImage(store, { subject, name, signer });
    }
    expect(instance.log.size).toBe(7);
    const server = ['--rekor_server', instance.url];
    const info = await run('rekor-cli', ['loginfo', ...server]);
    expect(info).toMatchObject({
      status: 0,
      output: expect.stringContaining('Verification Successful') as string,
    });
    for (const index of [0, 3, 4]) {
      const got = await run('rekor-cli', ['get', ...server, '--log-index', String(index)]);
      expect(got).toMatchObject({ status: 0 });
      const uuid = /UUID: ([0-9a-f]+)/.exec(got.output)?.[1] ?? '';
      const checked = await run('rekor-cli', ['verify', ...server, '--uuid', uuid]);
      expect(checked).toMatchObject({ status: 0 });
    }
  });

  it('returns the location of an existing entry', async () => {
    const instance = await sigstore();
    const entry = await readEntry(instance);
    const first = await propose(instance, entry);
    expect(first.status).toBe(201);
    const second = await propose(instance, entry);
    expect(second.status).toBe(409);
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    expect(instance.log.size).toBe(2);
  });
});

async function readEntry({ directory }: TestSigstore): Promise<object> {
  const key = await readFile(join(directory, 'rekor.pub'));
  const signature = { content: 'MAA=', publicKey: { content: key.toString('base64') } };
  const data = { hash: { algorithm: 'sha256', value: '0'.repeat(64) } };
  return { apiVersion: '0.0.1', kind: 'hashedrekord', spec: { data, signature } };
}

async function propose({ url }: TestSigstore, entry: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/api/v1/log/entries`, {
    method: 'POST',
    headers,
    body: JSON.stringify(entry),
  });
}
