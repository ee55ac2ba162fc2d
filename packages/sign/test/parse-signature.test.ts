import { expect, test } from 'vitest';
import { parseSignature } from '../src/bundle/parse-signature.ts';

/** Not even JSON: the parser would say so. */
const JUNK = `{"payload":"${'a'.repeat(2 ** 20)}","x":[${'{},'.repeat(2 ** 19)}`;

test('rejects much besides a payload before it is parsed', async () => {
  const text = 'the bundle is larger than 1 MiB without its payload';
  const item = { source: 'x', bytes: Buffer.from(JUNK) };
  await expect(parseSignature({ ...item, kind: 'bundle' })).rejects.toThrow(text);
  const attestation = { ...item, kind: 'attestation', annotations: {} } as const;
  await expect(parseSignature(attestation)).rejects.toThrow(text);
  const small = { ...item, bytes: Buffer.from(JUNK.slice(0, 2 ** 20)) };
  await expect(parseSignature({ ...small, kind: 'bundle' })).rejects.toThrow('not JSON');
});
