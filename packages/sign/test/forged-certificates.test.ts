import { expect, it } from 'vitest';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import type { Verification } from '../src/verify/verification.ts';
import {
  type CertificateCase,
  CERTIFICATES,
  forgedFrom,
  GOOD_CERTIFICATES,
  SIGNER,
  SUBJECT,
} from './forged-certificates.ts';

async function verified(forgery: CertificateCase['forgery']): Promise<Verification> {
  const { bundle, trustedRoot } = forgedFrom(forgery);
  const bytes = Buffer.from(JSON.stringify(bundle));
  const collected = { items: [{ kind: 'bundle', source: 'it', bytes } as const], unreadable: [] };
  const root = await parseTrustedRoot(trustedRoot, 'the root');
  return verifyImage({ subject: SUBJECT, collected, trust: { root, identities: [SIGNER] } });
}

it.each(GOOD_CERTIFICATES)('accepts a certificate $what', async ({ forgery }) => {
  const { signatures, rejections } = await verified(forgery);
  expect(rejections).toEqual([]);
  expect(signatures).toHaveLength(1);
});

it.each(CERTIFICATES)('rejects a certificate $what', async ({ forgery, reason }) => {
  const { signatures, rejections } = await verified(forgery);
  expect(signatures).toEqual([]);
  expect(rejections[0]?.reason).toMatch(reason);
});
