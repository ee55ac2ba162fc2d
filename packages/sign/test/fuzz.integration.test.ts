import { LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { expect, test } from 'vitest';
import { parseSignature, signerCertificate } from '../src/bundle/parse-signature.ts';
import { collectFromStore } from '../src/referrers/collect-signatures.ts';
import type { UnverifiedSignature } from '../src/referrers/collected-signatures.ts';
import { signImage } from '../src/signing/sign-images.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { VerificationError } from '../src/verify/verification-error.ts';
import type { Verification } from '../src/verify/verification.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import { createFixture, keyless, newKey, sigstore } from './support.ts';

interface Signed {
  readonly items: readonly UnverifiedSignature[];
  readonly verify: (item: UnverifiedSignature) => Promise<Verification>;
}

async function signed(by: 'identity' | 'key'): Promise<Signed> {
  const { store, subject, name } = await createFixture();
  const { signer, trust } =
    by === 'key' ? await newKey() : await keyless(await sigstore(), { tsa: true });
  await signImage(store, { subject, name, signer });
  const { items } = await collectFromStore(store, subject.digest);
  const verify = async (item: UnverifiedSignature): Promise<Verification> =>
    verifyImage({ subject: subject.digest, collected: { items: [item], unreadable: [] }, trust });
  return { items, verify };
}

const isRejection = (error: unknown): boolean => error instanceof VerificationError;

test.each(['key', 'identity'] as const)(
  'parseSignature only rejects a bundle by a(n) %s with a VerificationError',
  async (by) => {
    const { items } = await signed(by);
    const bundles = items.filter(({ kind }) => kind === 'bundle');
    expect(bundles).toHaveLength(1);
    await fuzz(
      bundles.map(({ bytes }) => bytes),
      async (bytes) => {
        const { bundle } = await parseSignature({ kind: 'bundle', source: 'x', bytes });
        signerCertificate(bundle);
      },
      isRejection,
    );
  },
);

test('parseSignature only rejects annotations of a layer with a VerificationError', async () => {
  const { items } = await signed('identity');
  const item = items.find((one) => one.kind === 'signature');
  if (item?.kind !== 'signature') throw new Error('there is no layer with a signature');
  await fuzz(
    [Buffer.from(JSON.stringify(item.annotations))],
    async (input) => {
      const annotations = annotationsFrom(input.toString());
      if (annotations === undefined) return;
      const { bundle } = await parseSignature({ ...item, annotations });
      signerCertificate(bundle);
    },
    isRejection,
  );
});

/** Verification must end with a result: it lists the reason of each rejection. */
test.each(['key', 'identity'] as const)(
  'verifyImage never fails for a changed signature by a(n) %s',
  async (by) => {
    const { items, verify } = await signed(by);
    for (const item of items)
      await fuzz(
        [item.bytes],
        async (bytes) => verify({ ...item, bytes }),
        () => false,
      );
  },
);

test('parseTrustedRoot only rejects with an LktError', async () => {
  const validFor = { start: '2026-01-01T00:00:00Z', end: '2027-01-01T00:00:00Z' };
  const log = {
    baseUrl: 'https://rekor.example.com',
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: 'AA==', keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
    logId: { keyId: 'AA==' },
  };
  const authority = {
    subject: { organization: 'x', commonName: 'y' },
    uri: 'https://fulcio.example.com',
    certChain: { certificates: [{ rawBytes: 'AA==' }] },
    validFor,
  };
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log],
    ctlogs: [log],
    certificateAuthorities: [authority],
    timestampAuthorities: [authority],
  };
  await fuzz(
    [Buffer.from(JSON.stringify(root))],
    async (input) => parseTrustedRoot(input.toString(), 'root.json'),
    (error) => error instanceof LktError,
  );
});

/** Returns the strings of a JSON object, as a manifest's parser leaves them. */
function annotationsFrom(text: string): Readonly<Record<string, string>> | undefined {
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document !== 'object' || document === null) return undefined;
    return Object.fromEntries(
      Object.entries(document).filter(([, value]) => typeof value === 'string'),
    );
  } catch {
    return undefined;
  }
}
