import type { SigstoreOptions, TokenIssuer } from '@lkt/testing';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseRefPattern } from '../../src/verify/ref-pattern.ts';
import { collectFromStore } from '../../src/referrers/collect-signatures.ts';
import { signImage } from '../../src/signing/sign-images.ts';
import { keylessSigner } from '../../src/signing/signer.ts';
import { parseTrustedRoot } from '../../src/sigstore/trusted-root.ts';
import type { TrustedClaims } from '../../src/verify/trusted-identity.ts';
import type { Verification } from '../../src/verify/verification.ts';
import { identityOfCertificate } from '../../src/verify/certificate-identity.ts';
import { VerificationError } from '../../src/verify/verification-error.ts';
import { verifyImage } from '../../src/verify/verify-image.ts';
import { createFixture, sigstore, WORKFLOW } from '../support.ts';

type TokenClaims = Parameters<TokenIssuer['token']>[1];

const REPOSITORY = 'https://github.example/lkt/lkt';
const TOKEN: TokenClaims = {
  server_url: 'https://github.example',
  repository: 'lkt/lkt',
  ref: 'refs/tags/v1',
  workflow_ref: 'lkt/lkt/.github/workflows/release.yml@refs/tags/v1',
  environment: 'production',
};
const TRUSTED: TrustedClaims = {
  repository: REPOSITORY,
  workflow: `${REPOSITORY}/.github/workflows/release.yml`,
  ref: parseRefPattern('refs/tags/v*'),
  environment: 'production',
};

/** Signs an image with a token and verifies it for the trusted claims. */
async function verify(
  token: TokenClaims,
  claims: TrustedClaims,
  options?: SigstoreOptions,
): Promise<Verification> {
  const instance = await sigstore(options);
  const { store, subject, name } = await createFixture();
  const signer = keylessSigner({
    identity: instance.issuer.token(WORKFLOW, token),
    fulcioUrl: instance.url,
    rekorUrl: instance.url,
  });
  await signImage(store, { subject, name, signer });
  const root = await parseTrustedRoot(instance.trustedRoot, 'trusted_root.json');
  return verifyImage({
    subject: subject.digest,
    collected: await collectFromStore(store, subject.digest),
    trust: { root, identities: [{ issuer: instance.issuer.url, claims }] },
  });
}

it('verifies the claims in a certificate, and returns them', async () => {
  const { signatures, rejections } = await verify(TOKEN, TRUSTED);
  expect(rejections).toEqual([]);
  expect(signatures).toHaveLength(2);
  expect(signatures[0]?.claims).toEqual({
    repository: REPOSITORY,
    workflow: `${REPOSITORY}/.github/workflows/release.yml@refs/tags/v1`,
    ref: 'refs/tags/v1',
    environment: 'production',
  });
});

it.each<[string, TokenClaims, string]>([
  ['another repository', { ...TOKEN, repository: 'lkt/other' }, `its repository is`],
  ['another ref', { ...TOKEN, ref: 'refs/heads/main' }, 'its ref is refs/heads/main'],
  ['no claims', {}, 'its certificate states no repository'],
])('rejects a certificate with %s', async (_what, token, reason) => {
  const { signatures, rejections } = await verify(token, TRUSTED);
  expect(signatures).toEqual([]);
  expect(rejections).toHaveLength(2);
  expect(rejections[0]?.reason).toContain(`who is not trusted: ${reason}`);
});

const FULCIO = '1.3.6.1.4.1.57264.1';

it('does not read the deprecated form of a claim', async () => {
  const extensions = [{ oid: `${FULCIO}.5`, value: 'lkt/lkt', isRaw: true }];
  const { rejections } = await verify({}, { repository: REPOSITORY }, { extensions });
  expect(rejections[0]?.reason).toContain('its certificate states no repository');
});

it.each([
  ['without DER encoding', REPOSITORY],
  ['as another type of text', `\u0016\u001e${REPOSITORY}`],
  ['with bytes after it', `\u000c\u001e${REPOSITORY}x`],
])('rejects a claim %s', async (_what, value) => {
  expect(REPOSITORY).toHaveLength(0x1e);
  const extensions = [{ oid: `${FULCIO}.12`, value, isRaw: true }];
  await expect(verify({}, { repository: REPOSITORY }, { extensions })).rejects.toThrow(
    /an extension that is not a UTF8String|cannot be parsed/,
  );
});

it('reads no certificate with another error', async () => {
  const instance = await sigstore();
  const identity = instance.issuer.token(WORKFLOW, TOKEN);
  const services = { fulcioUrl: instance.url, rekorUrl: instance.url };
  await using session = await keylessSigner({ ...services, identity }).open();
  const { material } = session;
  if (material.kind !== 'certificate') throw new Error('no certificate');
  const { raw } = material.chain[0];
  await fc.assert(
    fc.asyncProperty(fc.nat(raw.length - 1), fc.nat(255), fc.nat(20), async (at, byte, cut) => {
      const changed = Buffer.from(raw.subarray(0, raw.length - (cut === 20 ? at : 0)));
      changed[at % changed.length] = byte;
      const error: unknown = await identityOfCertificate(changed).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error === undefined || error instanceof VerificationError, String(error)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

it('rejects a claim that a certificate has twice', async () => {
  const extensions = [{ oid: `${FULCIO}.12`, value: REPOSITORY }];
  const { signatures } = await verify({}, { repository: REPOSITORY }, { extensions });
  expect(signatures).toHaveLength(2);
  const twice = [...extensions, ...extensions];
  await expect(verify({}, { repository: REPOSITORY }, { extensions: twice })).rejects.toThrow(
    /has the extension \S+ twice/,
  );
});
