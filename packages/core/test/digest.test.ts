import { expect, test } from 'vitest';
import {
  digestAlgorithm,
  Digester,
  digestFromHex,
  digestFromSet,
  digestHex,
  digestOf,
  digestOfStream,
  digestSet,
  hasDigest,
  isDigest,
  isSha256,
  parseDigest,
} from '../src/index.ts';

// FIPS 180-2, appendix B.1.
const ABC = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

test('digestOf and Digester match the vectors of FIPS 180-2', () => {
  expect(digestOf('abc')).toBe(ABC);
  const digester = new Digester().update(Buffer.from('a')).update(Buffer.from('bc'));
  expect(digester.size).toBe(3);
  expect(digester.digest()).toBe(ABC);
  expect(digestHex(parseDigest(ABC))).toBe(ABC.slice(7));
});

// FIPS 180-2, appendix C.1.
const ABC_512 =
  'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f';

test('accepts SHA-512', () => {
  expect(digestOf('abc', 'sha512')).toBe(ABC_512);
  expect(new Digester('sha512').update(Buffer.from('abc')).digest()).toBe(ABC_512);
  const digest = parseDigest(ABC_512);
  expect(digestAlgorithm(digest)).toBe('sha512');
  expect(digestHex(digest)).toBe(ABC_512.slice(7));
  expect(isSha256(digest)).toBe(false);
  expect(hasDigest(Buffer.from('abc'), digest)).toBe(true);
  expect(hasDigest(Buffer.from('abd'), digest)).toBe(false);
  for (const text of [ABC, ABC_512]) {
    expect(digestFromHex(digestHex(parseDigest(text)))).toBe(text);
    expect(digestFromSet(digestSet(parseDigest(text)))).toBe(text);
  }
  expect(digestFromHex('00')).toBe(undefined);
  expect(digestFromSet({ sha384: '00' })).toBe(undefined);
});

test('digestOfStream and Digester.through hash a stream', async () => {
  const chunks = [Buffer.from('a'), Buffer.from('bc')];
  expect(await digestOfStream(chunks)).toBe(ABC);
  const digester = new Digester();
  const passed = await Array.fromAsync(digester.through(ReadableStream.from(chunks)));
  expect(Buffer.concat(passed).toString()).toBe('abc');
  expect(digester.digest()).toBe(ABC);
  await expect(digestOfStream(chunks, AbortSignal.abort())).rejects.toThrow('aborted');
});

test.each([
  '',
  'sha256:',
  ABC.toUpperCase(),
  `${ABC}0`,
  ABC.slice(0, -1),
  `sha512:${ABC.slice(7)}`,
  `sha256:${ABC_512.slice(7)}`,
  `sha384:${ABC.slice(7)}`,
  `${ABC}\n`,
])('parseDigest rejects %j', (text) => {
  expect(isDigest(text)).toBe(false);
  expect(() => parseDigest(text)).toThrow(/is not a sha256 or sha512 digest/);
});
