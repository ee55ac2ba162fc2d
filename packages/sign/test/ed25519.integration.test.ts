import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { createHttpClient } from '@lkt/http';
import type { TestSigstore } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { signStatement } from '../src/bundle/sign-statement.ts';
import { collectFromStore } from '../src/referrers/collect-signatures.ts';
import { signImage } from '../src/signing/sign-images.ts';
import { SigningSession } from '../src/signing/signer.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import { createFixture, keyless, newKey, sigstore, WORKFLOW } from './support.ts';

describe('an Ed25519 key', () => {
  it('signs in both forms, once', async () => {
    const { store, subject, name } = await createFixture();
    const { signer, trust } = await newKey({}, 'ed25519');
    expect(await signImage(store, { subject, name, signer })).toMatchObject({
      bundles: [{}],
      simple: { size: expect.any(Number) as number },
    });
    const existing = await collectFromStore(store, subject.digest);
    const again = await signImage(store, { subject, name, signer, existing });
    expect(again).toMatchObject({ bundles: [], simple: undefined });
    const { digest } = subject;
    const verified = await verifyImage({ subject: digest, collected: existing, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
    const { trust: others } = await newKey({}, 'ed25519');
    const rejected = await verifyImage({ subject: digest, collected: existing, trust: others });
    expect(rejected.signatures).toEqual([]);
    expect(rejected.rejections).toHaveLength(2);
  });

  it('signs only bundles if they are logged, once', async () => {
    const { store, subject, name } = await createFixture();
    const instance = await sigstore();
    const witnesses = { rekorUrl: instance.url, tsaUrl: instance.url };
    const root = await parseTrustedRoot(instance.trustedRoot, 'trusted_root.json');
    const { signer, trust } = await newKey({ ...witnesses, root }, 'ed25519');
    const made = await signImage(store, { subject, name, signer });
    expect(made).toMatchObject({ bundles: [{}], simple: undefined });
    const existing = await collectFromStore(store, subject.digest);
    expect(await signImage(store, { subject, name, signer, existing })).toMatchObject({
      bundles: [],
      simple: undefined,
    });
    const verified = await verifyImage({
      subject: subject.digest,
      collected: existing,
      trust: { ...trust, root, keysNeedLog: true },
    });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toMatchObject([{ logIndex: 1 }]);
  });

  it('in a certificate verifies a bundle', async () => {
    const { subject, name } = await createFixture();
    const { digest } = subject;
    const instance = await sigstore();
    const { trust } = await keyless(instance);
    await using session = await certified(instance);
    const statement = statementAbout({ name: name.path, digest }, SIGNATURE_PREDICATE, {});
    const { bytes } = await signStatement(session, statement);
    const bundle = { kind: 'bundle', source: 'the bundle', bytes } as const;
    const collected = { items: [bundle], unreadable: [] };
    const verified = await verifyImage({ subject: digest, collected, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(1);
    const changed = bytes
      .toString()
      .replace(/"sig":"(.)/, (_all, first) => `"sig":"${first === 'A' ? 'B' : 'A'}`);
    const broken = { items: [{ ...bundle, bytes: Buffer.from(changed) }], unreadable: [] };
    expect((await verifyImage({ subject: digest, collected: broken, trust })).signatures).toEqual(
      [],
    );
  });
});

/** Opens a session with a certificate for an Ed25519 key. */
async function certified({ url, issuer }: TestSigstore): Promise<SigningSession> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const token = issuer.token(WORKFLOW);
  const response = await fetch(`${url}/api/v2/signingCert`, {
    method: 'POST',
    body: JSON.stringify({
      credentials: { oidcIdentityToken: token },
      publicKeyRequest: {
        publicKey: { content: publicKey.export({ type: 'spki', format: 'pem' }) },
        proofOfPossession: sign(null, Buffer.from(WORKFLOW), privateKey).toString('base64'),
      },
    }),
  });
  const { signedCertificateEmbeddedSct: issued } = (await response.json()) as {
    signedCertificateEmbeddedSct: { chain: { certificates: [string, ...string[]] } };
  };
  const [leaf, ...rest] = issued.chain.certificates;
  const chain = [
    new X509Certificate(leaf),
    ...rest.map((pem) => new X509Certificate(pem)),
  ] as const;
  expect(chain[0].publicKey.equals(publicKey)).toBe(true);
  const identity = { subject: WORKFLOW, issuer: issuer.url };
  const material = { kind: 'certificate', chain, identity } as const;
  const witnesses = { rekorUrl: url, tsaUrl: url };
  return new SigningSession(privateKey, material, createHttpClient(), witnesses, undefined);
}
