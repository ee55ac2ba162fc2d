import { describe, expect, it } from 'vitest';
import { collectFromRegistry, collectFromStore } from '../src/collect.ts';
import { pushSignatures } from '../src/push.ts';
import { signImage } from '../src/sign.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement.ts';
import { requireSignature, verifyImage } from '../src/verify.ts';
import { keyless, newKey, place, sigstore, WORKFLOW } from './support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('signatures in a registry %s', (_what, options) => {
  it('of a key are found and good', async () => {
    const { registry, store, subject, name } = await place(options);
    const { signer, trust } = await newKey();
    const statement = statementAbout({ name: 'app', digest: subject.digest }, PROVENANCE, { a: 1 });
    await signImage(store, { subject, name, statements: [statement], signer });
    const pushed = await pushSignatures(registry, store, name, subject.digest);
    expect(pushed).toEqual({ bundles: 2, signatures: 1 });
    const { digest } = subject;
    for (const evidence of [
      await collectFromStore(store, digest),
      await collectFromRegistry(registry, { ...name, digest }),
    ]) {
      const verified = await verifyImage({ subject: digest, evidence, trust });
      expect(verified.rejections).toEqual([]);
      const types = verified.signatures.map(({ predicateType }) => predicateType).toSorted();
      expect(types).toEqual([SIGNATURE_PREDICATE, SIGNATURE_PREDICATE, PROVENANCE].toSorted());
      expect(verified.signatures.map(({ signer: by }) => by.kind)).toEqual(['key', 'key', 'key']);
      requireSignature(verified, 'app');
    }
  });

  it('of an identity are found and good, with times and places in the log', async () => {
    const { registry, store, subject, name } = await place(options);
    const instance = await sigstore();
    const { signer, trust } = await keyless(instance, { tsa: true });
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const { digest } = subject;
    const evidence = await collectFromRegistry(registry, { ...name, digest });
    const verified = await verifyImage({ subject: digest, evidence, trust });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toHaveLength(2);
    for (const { signer: by, time } of verified.signatures) {
      expect(by).toEqual({ kind: 'identity', subject: WORKFLOW, issuer: instance.issuer.url });
      expect(time).toBeInstanceOf(Date);
    }
    expect(new Set(verified.signatures.map(({ logIndex }) => logIndex))).toEqual(new Set([1, 2]));
  });
});
