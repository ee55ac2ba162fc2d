import { expect, test } from 'vitest';
import {
  Digester,
  digestHex,
  digestOf,
  digestOfStream,
  isDigest,
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
  `${ABC}\n`,
])('parseDigest rejects %j', (text) => {
  expect(isDigest(text)).toBe(false);
  expect(() => parseDigest(text)).toThrow(/is not a sha256 digest/);
});
