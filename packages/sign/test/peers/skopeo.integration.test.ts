import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '@lkt/oci';
import type { TestSigstore } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry } from '../../src/referrers/collect-signatures.ts';
import { pushSignatures } from '../../src/referrers/push-signatures.ts';
import { signImage } from '../../src/signing/sign-images.ts';
import { verifyImage } from '../../src/verify/verify-image.ts';
import {
  keyless,
  newImage,
  newKey,
  type Fixture,
  createFixture,
  run,
  sigstore,
  temporary,
} from '../support.ts';

/** A signer requirement of containers-policy.json(5). */
type Requirement = Readonly<Record<string, unknown>>;

/**
 * Writes the policy by which skopeo, podman and CRI-O require signatures
 * (containers-policy.json(5)).
 */
async function policy({ server, reference }: Fixture, by: Requirement): Promise<readonly string[]> {
  const directory = await temporary();
  const [repository = ''] = reference.split('@');
  const signed = { type: 'sigstoreSigned', ...by, signedIdentity: { type: 'matchRepository' } };
  const file = join(directory, 'policy.json');
  const transports = { docker: { [repository]: [signed] } };
  await writeFile(file, JSON.stringify({ default: [{ type: 'reject' }], transports }));
  const registries = join(directory, 'registries.d');
  await mkdir(registries);
  const attachments = { [server.host]: { 'use-sigstore-attachments': true } };
  await writeFile(join(registries, 'test.yaml'), JSON.stringify({ docker: attachments }));
  return ['--policy', file, '--registries.d', registries];
}

function byKey(directory: string): Requirement {
  return { keyPath: join(directory, 'cosign.pub') };
}

function byIdentity(
  { directory }: TestSigstore,
  oidcIssuer: string,
  subjectEmail: string,
): Requirement {
  return {
    fulcio: { caPath: join(directory, 'fulcio.pem'), oidcIssuer, subjectEmail },
    rekorPublicKeyPath: join(directory, 'rekor.pub'),
  };
}

async function pull(
  fixture: Fixture,
  by: Requirement,
  reference = fixture.reference,
): Promise<string> {
  const options = [...(await policy(fixture, by)), 'copy', '--src-tls-verify=false'];
  const target = `dir:${join(await temporary(), 'image')}`;
  const { status, output } = await run('skopeo', [...options, `docker://${reference}`, target]);
  return status === 0 ? 'accepted' : output;
}

function signatureTag({ digest }: Descriptor): string {
  return `${digest.replace(':', '-')}.sig`;
}

describe('skopeo', () => {
  it('accepts by policy a signature by a key, and nothing else', { timeout: 120_000 }, async () => {
    const fixture = await createFixture();
    const { store, subject, name, registry, server } = fixture;
    const { signer, directory } = await newKey();
    expect(await pull(fixture, byKey(directory))).toMatch(/A signature was required/);
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    expect(await pull(fixture, byKey(directory))).toBe('accepted');
    expect(await pull(fixture, byKey(directory), `${server.host}/app:1`)).toBe('accepted');
    expect(await pull(fixture, byKey((await newKey()).directory))).toMatch(/verif/);
    const other = await newImage(store);
    await registry.pushImage(store, other, { ...name, tag: '2' });
    expect(await pull(fixture, byKey(directory), `${server.host}/app:2`)).toMatch(
      /signature was required/,
    );
    // The first image's signature, tagged for the other image.
    const { manifests, tags } = server.storage.repository('app');
    tags.set(signatureTag(other), tags.get(signatureTag(subject)) ?? '');
    expect(manifests.size).toBeGreaterThan(0);
    expect(await pull(fixture, byKey(directory), `${server.host}/app:2`)).toMatch(/digest/i);
  });

  it(
    'accepts by policy a keyless signature, by that identity only',
    { timeout: 120_000 },
    async () => {
      const fixture = await createFixture();
      const { store, subject, name, registry } = fixture;
      const instance = await sigstore();
      const jane = 'jane@example.org';
      const { url } = instance.issuer;
      const { signer } = await keyless(instance, { subject: jane });
      await signImage(store, { subject, name, signer });
      await pushSignatures(registry, store, name, subject.digest);
      expect(await pull(fixture, byIdentity(instance, url, jane))).toBe('accepted');
      const other = await sigstore();
      for (const [by, why] of [
        [byIdentity(instance, url, 'joe@example.org'), /email/i],
        [byIdentity(instance, 'https://other.example', jane), /issuer/i],
        [byIdentity(other, url, jane), /certificate|authority|SET|verif/i],
      ] as const)
        expect(await pull(fixture, by)).toMatch(why);
    },
  );

  it('signs and lkt accepts it', async () => {
    const fixture = await createFixture();
    const { registry, name, subject, reference, server } = fixture;
    const { trust, directory } = await newKey();
    const passphrase = join(directory, 'passphrase');
    await writeFile(passphrase, '\n');
    const [, , ...registries] = await policy(fixture, byKey(directory));
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false'];
    const key = ['--sign-by-sigstore-private-key', join(directory, 'cosign.key')];
    const sign = [...key, '--sign-passphrase-file', passphrase, '--preserve-digests'];
    const target = `docker://${server.host}/app:signed`;
    const done = await run('skopeo', [
      '--insecure-policy',
      ...registries,
      'copy',
      ...tls,
      ...sign,
      `docker://${reference}`,
      target,
    ]);
    expect(done).toMatchObject({ status: 0 });
    const { digest } = subject;
    const collected = await collectFromRegistry(registry, { ...name, digest });
    const { signatures, rejections } = await verifyImage({ subject: digest, collected, trust });
    expect(rejections).toEqual([]);
    expect(signatures).toMatchObject([{ signer: { kind: 'key' } }]);
    const other = await newKey();
    const refused = await verifyImage({ subject: digest, collected, trust: other.trust });
    expect(refused.signatures).toEqual([]);
    expect(refused.rejections[0]?.reason).toMatch(/trusted key/);
  });
});
