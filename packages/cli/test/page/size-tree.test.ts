import { expect, test } from 'vitest';
import { type SizeTree, sizeTree } from '../../src/page/size-tree.ts';

const file = (path: string, size: number): { path: readonly string[]; size: number } => ({
  path: path.split('/'),
  size,
});

test('adds up sizes by directory, largest first, and joins single directories', () => {
  expect(
    sizeTree('/', [
      file('usr/bin/a', 5),
      file('usr/bin/b', 7),
      file('etc/x', 100),
      file('etc/y/z', 1),
      file('empty', 0),
    ]),
  ).toEqual([
    '/',
    113,
    [
      [
        'etc',
        101,
        [
          ['x', 100],
          ['y', 1, [['z', 1]]],
        ],
      ],
      [
        'usr/bin',
        12,
        [
          ['b', 7],
          ['a', 5],
        ],
      ],
    ],
  ]);
});

test('counts the smallest entries together, so that the total stays', () => {
  const files = Array.from({ length: 50 }, (_, index) => file(`d/f${index}`, index + 1));
  const tree = sizeTree('all', [...files, file('other', 9000)], { limit: 11 });
  expect(tree[1]).toBe(9000 + 1275);
  const [, [, , entries = []] = []] = tree[2] ?? [];
  expect(entries.map(([name]) => name)).toEqual([
    ...Array.from({ length: 9 }, (_, index) => `f${49 - index}`),
    '41 smaller',
  ]);
  expect(entries.reduce((sum, [, size]) => sum + size, 0)).toBe(1275);
});

test('bounds depth and names of a hostile image', () => {
  const deep = sizeTree('/', [
    { path: Array.from({ length: 100_000 }, () => 'a\u202e'), size: 1 },
    file('b', 1),
  ]);
  let depth = 0;
  for (let at: SizeTree | undefined = deep; at !== undefined; at = at[2]?.[0]) depth += 1;
  expect(depth).toBeLessThan(30);
  expect(JSON.stringify(deep).length).toBeLessThan(2000);
  expect(JSON.stringify(deep)).not.toContain('\u202e');
});
