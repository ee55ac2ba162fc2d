import { randomBytes } from 'node:crypto';
import { readFile as readFile_, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  type Descriptor,
  type EntryWithContent,
  type FileTree,
  flatten,
  FileTree as Tree,
  fromRaw,
  openStore,
  readFile,
  readFiles,
  toRaw,
  writeLayer,
} from '../../src/index.ts';
import { directory, entry, failure, file, hardlink, run, symlink, tempDir } from '../support.ts';
import { withLayers, contents, whiteout } from './flatten-fixture.ts';

/** Lists `path` for files, `path/` for directories, `path -> target`, `path = hard link target`. */
function listing(tree: FileTree): string[] {
  return [...tree.walk()].slice(1).map(({ path, type, link }) => {
    const name = fromRaw(path);
    if (type === 'directory') return `${name}/`;
    return type === 'symlink'
      ? `${name} -> ${link}`
      : type === 'hardlink'
        ? `${name} = ${link}`
        : name;
  });
}

describe('flatten merges layers', () => {
  test.each<[string, EntryWithContent[][], string[]]>([
    ['no layers', [], []],
    [
      'files in byte order, directories first',
      [[file('b', '1'), file('a/x', '1'), file('a-b', '1'), file('a', '1')].slice(0, 3)],
      ['a/', 'a/x', 'a-b', 'b'],
    ],
    [
      'a whiteout of a file',
      [[directory('d'), file('d/a', '1'), file('d/b', '1')], [whiteout('d/.wh.a')]],
      ['d/', 'd/b'],
    ],
    [
      'a whiteout of a directory',
      [[file('d/e/a', '1'), file('d/f', '1')], [whiteout('d/.wh.e')]],
      ['d/', 'd/f'],
    ],
    [
      'a whiteout of a missing file',
      [[file('a', '1')], [whiteout('.wh.b'), whiteout('no/.wh.b')]],
      ['a'],
    ],
    [
      'a whiteout affects only lower layers, whatever its position',
      [[file('d/old', '1')], [file('d/new', '1'), whiteout('.wh.d')]],
      ['d/', 'd/new'],
    ],
    [
      'a whiteout and a new file of the same name',
      [[file('a', '1')], [whiteout('.wh.a'), symlink('a', 'b')]],
      ['a -> b'],
    ],
    ['a whiteout in the lowest layer', [[whiteout('.wh.a'), file('a', '1')]], ['a']],
    [
      'a file removed and added again',
      [[file('a', '1')], [whiteout('.wh.a')], [file('a', '3')]],
      ['a'],
    ],
    [
      'an opaque directory',
      [
        [file('d/a', '1'), file('d/s/b', '1'), file('e', '1')],
        [directory('d'), whiteout('d/.wh..wh..opq'), file('d/c', '2')],
      ],
      ['d/', 'd/c', 'e'],
    ],
    [
      'an opaque directory, the marker last',
      [[file('d/a', '1')], [directory('d'), file('d/c', '2'), whiteout('d/.wh..wh..opq')]],
      ['d/', 'd/c'],
    ],
    [
      'an opaque root',
      [
        [file('a', '1'), file('b/c', '1')],
        [whiteout('.wh..wh..opq'), file('d', '2')],
      ],
      ['d'],
    ],
    [
      'metadata of aufs',
      [
        [
          file('.wh..wh.plnk/1.2', 'x'),
          entry('.wh..wh.aufs'),
          directory('.wh..wh.orph'),
          file('a', '1'),
        ],
      ],
      ['a'],
    ],
    ['a file over a directory', [[file('a/b/c', '1')], [file('a', '2')]], ['a']],
    ['a link over a directory', [[file('a/b/c', '1')], [symlink('a', 'x')]], ['a -> x']],
    [
      'a directory over a file',
      [[file('a', '1')], [directory('a'), file('a/b', '2')]],
      ['a/', 'a/b'],
    ],
    ['an implied directory over a file', [[file('a', '1')], [file('a/b', '2')]], ['a/', 'a/b']],
    [
      'a directory over a link to a directory, as in overlayfs',
      [[directory('usr/lib'), symlink('lib', 'usr/lib')], [file('lib/x', '2')]],
      ['lib/', 'lib/x', 'usr/', 'usr/lib/'],
    ],
    [
      'a directory over a directory',
      [[directory('a'), file('a/b', '1')], [directory('a', { mode: 0o700 })]],
      ['a/', 'a/b'],
    ],
    [
      'a duplicate path in a layer',
      [[file('a', '1'), directory('a'), file('a/b', '1'), file('a', '2')]],
      ['a'],
    ],
    ['names that are not UTF-8', [[file('\xff', '1'), file(toRaw('ü'), '1')]], ['ü', '\ufffd']],
    [
      'a name that resembles a whiteout',
      [[file('.whx', '1'), file('a.wh.b', '1')]],
      ['.whx', 'a.wh.b'],
    ],
    [
      'hard links',
      [[file('b', '1'), hardlink('c', 'b'), hardlink('a', 'c')]],
      ['a', 'b = a', 'c = a'],
    ],
    ['a hard link into a lower layer', [[file('a', '1')], [hardlink('b', 'a')]], ['a', 'b = a']],
    [
      'a hard link whose target is removed',
      [[file('a', '1'), hardlink('b', 'a')], [whiteout('.wh.a')]],
      ['b'],
    ],
    [
      'a hard link whose target is replaced',
      [[file('a', '1'), hardlink('b', 'a'), hardlink('c', 'a')], [file('a', '2')]],
      ['a', 'b', 'c = b'],
    ],
    [
      'a hard link over a directory',
      [[file('a', '1'), file('d/x', '1')], [hardlink('d', 'a')]],
      ['a', 'd = a'],
    ],
    [
      'a hard link to a symbolic link, and to a device',
      [[symlink('a', 'x'), hardlink('b', 'a'), entry('c', { type: 'fifo' }), hardlink('d', 'c')]],
      ['a -> x', 'b -> x', 'c', 'd'],
    ],
  ])('%s', async (_name, layers, expected) => {
    await withLayers(layers, ({ tree }) => {
      expect(listing(tree)).toEqual(expected);
      expect(tree.size).toBe(expected.length + 1);
    });
  });

  test('readFiles returns the content of the topmost layer', async () => {
    await withLayers(
      [
        [
          file('a', 'a1'),
          file('b', 'b1'),
          hardlink('c', 'b'),
          file('empty', ''),
          file('twice', 'first'),
          file('twice', 'second'),
        ],
        [file('a', 'a2'), whiteout('.wh.b'), file('d', 'd2')],
      ],
      async (flat) => {
        expect(await contents(flat)).toEqual({
          c: 'b1',
          empty: '',
          twice: 'second',
          a: 'a2',
          d: 'd2',
        });
        expect(flat.tree.get('c')).toMatchObject({ type: 'file', size: 2, layer: 0 });
        expect(flat.tree.get('a')).toMatchObject({ type: 'file', size: 2, layer: 1 });
      },
    );
  });

  test('a directory has the metadata of the top layer; an implied one belongs to root', async () => {
    const xattrs = new Map([['user.a', Buffer.from([0, 255])]]);
    await withLayers(
      [
        [
          directory('', { mode: 0o711, uid: 5 }),
          directory('a', { mode: 0o700, uid: 1, mtime: 1 }),
          file('x/y', '1'),
        ],
        [
          entry('a', { type: 'directory', mode: 0o1777, gid: 2, mtime: 2, xattrs }),
          file('a/b', '1', { pax: new Map([['V.a', 'b']]) }),
        ],
      ],
      ({ tree }) => {
        expect(tree.get('')).toMatchObject({ mode: 0o711, uid: 5, layer: 0 });
        expect(tree.get('a')).toMatchObject({
          mode: 0o1777,
          uid: 0,
          gid: 2,
          mtime: 2,
          xattrs,
          layer: 1,
        });
        expect(tree.get('a/b')?.pax).toEqual(new Map([['V.a', 'b']]));
        expect(tree.get('x')).toMatchObject({
          type: 'directory',
          mode: 0o755,
          uid: 0,
          gid: 0,
          mtime: 1_492_533_000,
          layer: -1,
        });
      },
    );
  });

  test.each<[string, RegExp, EntryWithContent[]]>([
    [
      'a hard link to a missing file',
      /hard link "a" refers to "b", which is not a file/,
      [hardlink('a', 'b')],
    ],
    ['a hard link to a later entry', /which is not a file/, [hardlink('a', 'b'), file('b', '1')]],
    ['a hard link to itself', /which is not a file/, [file('a', '1'), hardlink('a', 'a')]],
    ['a hard link to a directory', /which is not a file/, [directory('a'), hardlink('b', 'a')]],
    [
      'a path through a link of the same layer',
      /"a\/b" is below "a", a symlink of the same layer/,
      [symlink('a', '/etc'), file('a/b', '1')],
    ],
    [
      'a path through a file of the same layer',
      /a file of the same layer/,
      [file('a', '1'), file('a/b/c', '1')],
    ],
    ['a whiteout without a name', /invalid whiteout/, [whiteout('.wh.')]],
    ['a whiteout of the parent', /invalid whiteout/, [whiteout('d/.wh...')]],
  ])('rejects %s and names the layer', async (_name, message, entries) => {
    await using temp = await tempDir();
    const store = await openStore(join(temp.path, 'store'));
    const layer = await writeLayer(store, entries);
    const error = await failure('ARCHIVE_INVALID', flatten(store, [layer]));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`layer ${layer.descriptor.digest}: `);
  });

  test('limits cover implied directories, metadata and bytes per layer', async () => {
    await withLayers([[file('a/b/c/d', Buffer.alloc(5000))]], async ({ store, layers }) => {
      await failure('ARCHIVE_INVALID', flatten(store, layers, { maxEntries: 3 }));
      expect((await flatten(store, layers, { maxEntries: 4 })).size).toBe(5);
      await failure('ARCHIVE_INVALID', flatten(store, layers, { maxMetadata: 10 }));
      await failure('ARCHIVE_INVALID', flatten(store, layers, { maxLayerBytes: 5000 }));
    });
  });

  test('a damaged layer yields no tree', async () => {
    await withLayers([[file('a', '1')]], async ({ store, layers }) => {
      const other = await writeLayer(store, [file('a', '2')]);
      const [layer] = layers;
      if (layer === undefined) throw new Error('no layer');
      await store.withLock('x', async () =>
        run('cp', [
          store.blobPath(other.descriptor.digest),
          store.blobPath(layer.descriptor.digest),
        ]),
      );
      await failure('DIGEST_MISMATCH', flatten(store, layers));
      await failure(
        'UNSUPPORTED',
        flatten(store, [
          { ...other, descriptor: { ...other.descriptor, mediaType: 'text/plain' } },
        ]),
      );
    });
  });

  test('damage that gzip detects first is reported as a digest mismatch of the blob', async () => {
    await withLayers([[file('a', randomBytes(20_000))]], async ({ store, layers }) => {
      const path = store.blobPath(layers[0]?.descriptor.digest ?? digestOf(''));
      const bytes = await readFile_(path);
      bytes[9_000] = (bytes[9_000] ?? 0) ^ 0xff;
      await writeFile(path, bytes);
      await failure('DIGEST_MISMATCH', flatten(store, layers));
    });
  });
});

const twoLayers = (): EntryWithContent[][] => [
  [
    file('big', Buffer.alloc(3_000_000, 'x')),
    file('etc/a', 'a'),
    file('etc/b', 'b'),
    hardlink('etc/c', 'etc/b'),
    symlink('link', '/etc/c'),
  ],
  [file('etc/d', 'd')],
];

describe('readFiles', () => {
  test('reads only wanted files, and only their layers', async () => {
    await withLayers(twoLayers(), async ({ store, layers, tree }) => {
      const all = layers.map(({ descriptor }) => descriptor);
      const read: string[] = [];
      const spy = new Proxy(store, {
        get: (target, key) =>
          key === 'read'
            ? (blob: Descriptor) => (read.push(blob.digest), target.read(blob))
            : Reflect.get(target, key),
      });
      const seen: string[] = [];
      for await (const item of readFiles(spy, all, tree, (node) => node.path === 'etc/a'))
        seen.push(item.path);
      expect(seen).toEqual(['etc/a']);
      expect(read).toEqual([all[0]?.digest]);
      expect(await Array.fromAsync(readFiles(spy, all, tree, () => false))).toEqual([]);
      expect(read).toHaveLength(1);
    });
  });

  test('reads one file through links', async () => {
    await withLayers(twoLayers(), async ({ store, layers, tree }) => {
      const all = layers.map(({ descriptor }) => descriptor);
      for (const path of ['etc/b', 'etc/c', 'link', '/link'])
        expect((await readFile(store, all, tree, path, 10)).toString()).toBe('b');
      expect((await readFile(store, all, tree, 'etc/d', 1)).toString()).toBe('d');
      await failure('IMAGE_INVALID', readFile(store, all, tree, 'big', 10));
      await failure('NOT_FOUND', readFile(store, all, tree, 'etc', 10));
      await failure('NOT_FOUND', readFile(store, all, tree, 'none', 10));
    });
  });
});

describe('lookup resolves paths as a process in the image would', () => {
  const tree = new Tree(
    [
      directory(''),
      directory('usr'),
      directory('usr/lib'),
      file('usr/lib/x', ''),
      symlink('lib', 'usr/lib'),
      symlink('abs', '/usr/lib/x'),
      symlink('usr/up', '../../../lib/x'),
      symlink('loop', 'pool'),
      symlink('pool', 'loop'),
      symlink('self', 'self/x'),
      symlink('gone', 'none'),
      symlink('dot', './usr/./lib//'),
      symlink('chain', 'lib/../up'),
    ].map((item) => ({ ...item, layer: 0 })),
  );
  test.each([
    ['usr/lib/x', 'usr/lib/x'],
    ['lib/x', 'usr/lib/x'],
    ['abs', 'usr/lib/x'],
    ['usr/up', 'usr/lib/x'],
    ['dot/x', 'usr/lib/x'],
    ['chain', 'usr/lib/x'],
    ['', ''],
    ['/', ''],
    ['../../usr', 'usr'],
    ['lib/..', 'usr'],
    ['/lib//./x', 'usr/lib/x'],
    ['loop', undefined],
    ['self', undefined],
    ['gone', undefined],
    ['none', undefined],
    ['usr/lib/x/y', undefined],
    ['abs/..', undefined],
  ])('lookup of %j returns %j', (path, expected) => {
    expect(tree.lookup(path)?.path).toBe(expected);
  });

  test('get returns a link itself', () => {
    expect(tree.get('abs')?.path).toBe('abs');
    expect(tree.get('lib/x')).toBeUndefined();
  });

  test('children returns names in byte order', () => {
    expect(tree.children('usr')).toEqual(['lib', 'up']);
    expect(tree.children('')).toEqual([
      'abs',
      'chain',
      'dot',
      'gone',
      'lib',
      'loop',
      'pool',
      'self',
      'usr',
    ]);
    expect(tree.children('usr/lib/x')).toEqual([]);
  });
});
