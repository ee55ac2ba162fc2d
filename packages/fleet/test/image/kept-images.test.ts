import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { type KeptImage, unnamedImages } from '../../src/image/kept-images.ts';

const image = (text: string, created: number, id: string = text): KeptImage => ({
  id,
  digest: digestOf(text),
  created,
});
const ids = (images: readonly KeptImage[]): readonly string[] => images.map(({ id }) => id);
const NOW = 100;

test('returns what nothing names, the oldest first', () => {
  const all = [image('c', 30), image('a', 10), image('b', 20)];
  const named = new Set([digestOf('b')]);
  expect(ids(unnamedImages(all, named, { keep: 0, after: 0 }, NOW))).toEqual(['a', 'c']);
  expect(ids(unnamedImages([], named, { keep: 0, after: 0 }, NOW))).toEqual([]);
});

test('keeps the newest of those, with all their parts', () => {
  const all = [image('a', 10), image('b', 20), image('c', 30), image('c', 5, 'part')];
  const settings = { keep: 2, after: 0 };
  expect(ids(unnamedImages(all, new Set(), settings, NOW))).toEqual(['a']);
  // Named ones do not count.
  expect(ids(unnamedImages(all, new Set([digestOf('c')]), settings, NOW))).toEqual([]);
});

test('keeps what is young, or of an unknown age', () => {
  const all = [image('old', 10), image('young', 60), image('unknown', Number.NaN)];
  expect(ids(unnamedImages(all, new Set(), { keep: 0, after: 50 }, NOW))).toEqual(['old']);
});

test('returns a part that is made again also of an image that is named or kept', () => {
  const all = [image('a', 10), { ...image('a', 20, 'part'), isRemade: true }, image('b', 30)];
  const settings = { keep: 1, after: 75 };
  expect(ids(unnamedImages(all, new Set([digestOf('a')]), settings, NOW))).toEqual(['part']);
  expect(ids(unnamedImages(all, new Set([digestOf('a')]), { keep: 1, after: 85 }, NOW))).toEqual(
    [],
  );
});
