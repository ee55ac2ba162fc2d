import { randomBytes } from 'node:crypto';
import { digestOf } from '@lkt/core';
import { expect, it } from 'vitest';
import { nativeHashes } from '../../src/io/native-hash.ts';
import { createAsyncDigester } from '../../src/io/async-digester.ts';

const LARGE = 8 * 2 ** 20;

it.each([undefined, 10, LARGE])('hashes the chunks of content of %s bytes', async (size) => {
  const content = randomBytes(300_000);
  using digester = await createAsyncDigester(size);
  for (let at = 0; at < content.length; at += 70_000)
    await digester.update(content.subarray(at, at + 70_000));
  expect(digester.size).toBe(content.length);
  expect(await digester.digest()).toBe(digestOf(content));
});

it('hashes several streams at once with reused memory', async () => {
  const bytes = [1, 20, 40, 60];
  expect(await Promise.all(bytes.map(hashOf))).toEqual(bytes.map(expectedOf));
});

it('hashes on other threads with the pinned Node', async () => {
  expect(await nativeHashes()).toBeDefined();
});

it('is freed only when no thread reads from it', async () => {
  for (let round = 0; round < 50; round += 1) {
    const given = await createAsyncDigester(LARGE);
    const updates = [given.update(Buffer.alloc(300_000)), given.update(Buffer.alloc(10))];
    given[Symbol.dispose]();
    await Promise.all(updates);
  }
});

it('starts fresh after an abandoned one', async () => {
  const given = await createAsyncDigester(LARGE);
  await given.update(Buffer.from('x'));
  given[Symbol.dispose]();
  using digester = await createAsyncDigester(LARGE);
  expect(await digester.digest()).toBe(digestOf(''));
});

async function hashOf(byte: number): Promise<string> {
  using digester = await createAsyncDigester(LARGE);
  const piece = Buffer.alloc(100_000);
  for (let round = 0; round < 5; round += 1)
    await digester.update(piece.fill(byte + round).subarray(round));
  return digester.digest();
}

function expectedOf(byte: number): string {
  const pieces = [0, 1, 2, 3, 4].map((round) => Buffer.alloc(100_000 - round, byte + round));
  return digestOf(Buffer.concat(pieces));
}
