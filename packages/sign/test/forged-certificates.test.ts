import {
  authorityExtensions,
  extendedKeyUsage,
  extension,
  forgeCertificate,
  Usage,
} from '@lkt/testing/forgeries';
import { expect, it } from 'vitest';
import { trustMaterial } from '../src/sigstore/trust-material.ts';
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
import { ENTRIES, GOOD_ENTRIES } from './forged-entries.ts';

type Extensions = Readonly<Record<string, Buffer | undefined>>;

async function verified(
  forgery: CertificateCase['forgery'],
  chain?: (leaf: string, authorities: readonly string[]) => readonly string[],
): Promise<Verification> {
  const { bundle, trustedRoot, authorities } = forgedFrom(forgery);
  if (chain !== undefined) {
    const { certificate, ...material } = bundle.verificationMaterial;
    const { rawBytes } = certificate as { rawBytes: string };
    const all = chain(
      rawBytes,
      authorities.map(({ der }) => der.toString('base64')),
    );
    Object.assign(bundle, {
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2',
      verificationMaterial: {
        ...material,
        x509CertificateChain: { certificates: all.map((one) => ({ rawBytes: one })) },
      },
    });
  }
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

it.each(GOOD_ENTRIES)('accepts a log entry $what', async ({ forgery }) => {
  const { signatures, rejections } = await verified(forgery);
  expect(rejections).toEqual([]);
  expect(signatures).toHaveLength(1);
});

it.each(ENTRIES)('rejects a log entry $what', async ({ forgery }) => {
  const { signatures, rejections } = await verified(forgery);
  expect(signatures).toEqual([]);
  expect(rejections[0]?.reason).toMatch(/log|checkpoint|proof|promise|valid|parsed/);
});

const stamps = extendedKeyUsage([Usage.time], true);
const { basic, usage } = authorityExtensions();

it.each<[string, Extensions, Extensions, string | undefined]>([
  ['for time stamps', { stamps }, { basic, usage }, undefined],
  ['of an authority for time stamps', { stamps }, { basic, usage, stamps }, undefined],
  ['without purpose', {}, { basic, usage }, 'is not for time stamps'],
  [
    'for code signing',
    { code: extendedKeyUsage([Usage.code]) },
    { basic, usage },
    'is not for time stamps',
  ],
  [
    'of an authority for code signing',
    { stamps },
    { basic, usage, code: extendedKeyUsage([Usage.code]) },
    'is not for time stamps',
  ],
  [
    'with an unknown critical extension',
    { stamps, unknown: extension('1.2.3.4', Buffer.of(5, 0), true) },
    { basic, usage },
    'has the unknown critical extension 1.2.3.4',
  ],
])('judges the certificate of a timestamp authority %s', async (_what, leaf, above, problem) => {
  const authority = forgeCertificate({ name: 'authority', extensions: above });
  const signer = forgeCertificate({ name: 'signer', extensions: leaf }, authority);
  const root = JSON.parse(forgedFrom({}).trustedRoot) as { certificateAuthorities: object[] };
  const certificates = [signer, authority].map(({ der }) => ({ rawBytes: der.toString('base64') }));
  const timestampAuthorities = [{ ...root.certificateAuthorities[0], certChain: { certificates } }];
  const text = JSON.stringify({ ...root, timestampAuthorities });
  const { message } = await parseTrustedRoot(text, 'the root');
  const material = await trustMaterial(message, undefined);
  expect(material.timestampAuthorities).toHaveLength(problem === undefined ? 1 : 0);
  expect(material.unusable.timestampAuthorities).toEqual(problem === undefined ? [] : [problem]);
});

const [stranger = ''] = forgedFrom({}).authorities.map(({ der }) => der.toString('base64'));

it('accepts a chain of the signer and its authorities, in any order after the signer', async () => {
  for (const chain of [
    (leaf: string, above: readonly string[]) => [leaf, ...above],
    (leaf: string, above: readonly string[]) => [leaf, ...above.toReversed()],
    (leaf: string) => [leaf],
  ])
    expect((await verified({}, chain)).rejections).toEqual([]);
});

it.each<[string, NonNullable<Parameters<typeof verified>[1]>, RegExp]>([
  ['whose signer is last', (leaf, above) => [...above, leaf], /untrusted authority/],
  ['without the signer', (_leaf, above) => above, /trusted authority|logged|another signer/],
  ['with an authority of others', (leaf, above) => [leaf, ...above, stranger], /untrusted/],
  ['with an authority of others in between', (leaf) => [leaf, stranger], /untrusted/],
  ['with the signer twice', (leaf) => [leaf, leaf], /untrusted/],
  ['of no certificates', () => [], /incomplete|certificate/],
  ['of no bytes', () => [''], /certificate|parsed|incomplete/],
  ['of a signer after no bytes', (leaf) => ['', leaf], /certificate|untrusted|incomplete/],
])('rejects a chain %s', async (_what, chain, reason) => {
  const { signatures, rejections } = await verified({}, chain);
  expect(signatures).toEqual([]);
  expect(rejections[0]?.reason).toMatch(reason);
});
