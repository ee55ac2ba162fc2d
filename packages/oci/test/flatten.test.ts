import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile as readFile_, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  decompressLayer,
  type Descriptor,
  type Entry,
  type EntryWithContent,
  type FileTree,
  flatten,
  flattenEntries,
  FileTree as Tree,
  fromRaw,
  openStore,
  parsePlatform,
  readFile,
  readFiles,
  readTar,
  type Store,
  toRaw,
  writeImage,
  writeIndex,
  writeLayer,
} from '../src/index.ts';
import {
  collect,
  directory,
  entry,
  failure,
  file,
  hardlink,
  run,
  symlink,
  tempDir,
} from './support.ts';

interface Flat {
  store: Store;
  layers: Descriptor[];
  tree: FileTree;
}

async function withLayers(
  layers: readonly EntryWithContent[][],
  use: (flat: Flat) => Promise<void> | void,
): Promise<void> {
  await using temp = await tempDir();
  const store = await openStore(join(temp.path, 'store'));
  const written: Descriptor[] = [];
  for (const entries of layers) written.push((await writeLayer(store, entries)).descriptor);
  const tree = await flatten(store, written);
  expect(await flattenEntries(await listsOf(store, written))).toEqual(tree);
  await use({ store, layers: written, tree });
}

async function listsOf(
  store: Store,
  layers: readonly Descriptor[],
): Promise<{ entries: Entry[] }[]> {
  const lists = [];
  for (const layer of layers) {
    const entries: Entry[] = [];
    for await (const item of readTar(decompressLayer(layer, store.read(layer)))) entries.push(item);
    lists.push({ entries });
  }
  return lists;
}

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

async function contents({ store, layers, tree }: Flat): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for await (const item of readFiles(store, layers, tree, () => true))
    result[item.path] = item.content === undefined ? '' : (await collect(item.content)).toString();
  return result;
}

const WHITEOUT = { mode: 0, mtime: 0 };
const whiteout = (path: string): EntryWithContent => entry(path, WHITEOUT);

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
    const { descriptor } = await writeLayer(store, entries);
    const error = await failure('ARCHIVE_INVALID', flatten(store, [descriptor]));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`layer ${descriptor.digest}: `);
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
        run('cp', [store.blobPath(other.descriptor.digest), store.blobPath(layer.digest)]),
      );
      await failure('DIGEST_MISMATCH', flatten(store, layers));
      await failure(
        'UNSUPPORTED',
        flatten(store, [{ ...other.descriptor, mediaType: 'text/plain' }]),
      );
    });
  });

  test('damage that gzip detects first is reported as a digest mismatch of the blob', async () => {
    await withLayers([[file('a', randomBytes(20_000))]], async ({ store, layers }) => {
      const path = store.blobPath(layers[0]?.digest ?? digestOf(''));
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
    await withLayers(twoLayers(), async ({ store, layers: all, tree }) => {
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
    await withLayers(twoLayers(), async ({ store, layers: all, tree }) => {
      for (const path of ['etc/b', 'etc/c', 'link', '/link'])
        expect((await readFile(store, all, tree, path, 10)).toString()).toBe('b');
      expect((await readFile(store, all, tree, 'etc/d', 1)).toString()).toBe('d');
      await failure('IMAGE_INVALID', readFile(store, all, tree, 'big', 10));
      await failure('NOT_FOUND', readFile(store, all, tree, 'etc', 10));
      await failure('NOT_FOUND', readFile(store, all, tree, 'none', 10));
    });
  });

  test('detects damage of a layer after flattening, even behind the last file', async () => {
    const noise = randomBytes(2_000_000);
    await withLayers([[file('a', 'a'), file('z', noise)]], async ({ store, layers, tree }) => {
      const path = store.blobPath(layers[0]?.digest ?? digestOf(''));
      const program = `import sys; f = open(sys.argv[1], 'r+b'); f.seek(-3, 2); f.write(b'xyz')`;
      run('python3', ['-c', program, path]);
      await failure('DIGEST_MISMATCH', readFile(store, layers, tree, 'a', 10));
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

  test('lookup without follow returns a link itself', () => {
    expect(tree.lookup('abs', { follow: false })?.path).toBe('abs');
    expect(tree.lookup('lib/x', { follow: false })?.path).toBe('usr/lib/x');
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

describe('interoperability', () => {
  const LONG = 'n'.repeat(120);
  const torture = (): EntryWithContent[][] => [
    [
      directory('bin'),
      file('bin/su', 'x', { mode: 0o4755 }),
      hardlink('bin/sudo', 'bin/su'),
      directory('etc'),
      file('etc/conf', 'one'),
      directory('etc/opaque'),
      file('etc/opaque/old', '1'),
      directory('etc/opaque/sub'),
      file('etc/opaque/sub/old', '1'),
      directory('gone'),
      file('gone/a', '1'),
      directory('swap'),
      file('swap/inner', '1'),
      file('swop', 'file'),
      symlink('sl', 'etc/conf'),
      directory('tmp', { mode: 0o1777 }),
      file(`tmp/${LONG}`, 'long'),
      file(toRaw('tmp/ünï'), 'utf8'),
      file('tmp/owned', 'x', { uid: 1000, gid: 100 }),
      entry('tmp/fifo', { type: 'fifo' }),
      file('keep', 'k'),
      hardlink('keep2', 'keep'),
    ],
    [
      directory('etc'),
      file('etc/conf', 'two'),
      directory('etc/opaque', { mode: 0o700 }),
      whiteout('etc/opaque/.wh..wh..opq'),
      file('etc/opaque/new', '2'),
      whiteout('.wh.gone'),
      file('swap', 'now a file'),
      directory('swop'),
      file('swop/inner', '2'),
      whiteout('.wh.keep'),
      hardlink('bin/link', 'bin/su'),
    ],
    [directory('gone'), file('gone/b', '3'), symlink('sl', 'swap'), whiteout('tmp/.wh.fifo')],
  ];

  test('umoci unpacks a complex image to the same tree', async () => {
    await withLayers([], async ({ store }) => {
      const layers = [];
      for (const entries of torture()) layers.push(await writeLayer(store, entries));
      const platform = parsePlatform('linux/amd64');
      const image = await writeImage(store, { config: {}, layers, platform });
      await store.tag('torture', image);
      const bundle = join(store.dir, '..', 'bundle');
      const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
      run('umoci', ['unpack', ...rootless, '--image', `${store.dir}:torture`, bundle]);
      const list = run('find', ['.', '-mindepth', '1', '-printf', '%P|%y|%m|%T@|%s|%l|%i\\n'], {
        cwd: join(bundle, 'rootfs'),
      });
      const found = new Map<string, string[]>();
      for (const line of list.toString('latin1').trim().split('\n')) {
        const [path = '', ...fields] = line.split('|');
        found.set(path, fields);
      }
      const descriptors = layers.map((layer) => layer.descriptor);
      const tree = await flatten(store, descriptors);
      const nodes = [...tree.walk()].slice(1);
      expect(nodes.map((node) => node.path).toSorted()).toEqual([...found.keys()].toSorted());
      for (const node of nodes) {
        const [type, mode, time, size, link, inode] = found.get(node.path) ?? [];
        const letter = {
          file: 'f',
          hardlink: 'f',
          directory: 'd',
          symlink: 'l',
          fifo: 'p',
          char: 'c',
          block: 'b',
        }[node.type];
        expect([node.path, type, mode]).toEqual([node.path, letter, node.mode.toString(8)]);
        if (node.type === 'file') expect([node.path, size]).toEqual([node.path, String(node.size)]);
        if (node.type === 'symlink') expect([node.path, link]).toEqual([node.path, node.link]);
        if (node.type === 'hardlink')
          expect([node.path, inode]).toEqual([node.path, found.get(node.link ?? '')?.[5]]);
        if (node.type === 'file') expect(Number(time)).toBe(node.mtime);
      }
      const data = await contents({ store, layers: descriptors, tree });
      for (const [path, text] of Object.entries(data))
        expect(run('cat', [join(bundle, 'rootfs', fromRaw(path))]).toString()).toBe(text);
      expect(data['etc/conf']).toBe('two');
    });
  });

  test('skopeo inspects and copies an image by name, digest unchanged', async () => {
    await withLayers([], async ({ store }) => {
      const layers = [
        await writeLayer(store, [directory('etc'), file('etc/conf', 'x')]),
        await writeLayer(store, [file('a', 'b')], { compression: 'none' }),
      ];
      const image = await writeImage(store, {
        config: { config: { Labels: { a: 'b' } } },
        layers,
        platform: parsePlatform('linux/amd64'),
      });
      const index = await writeIndex(store, [image]);
      await store.tag('docker.io/lkt/t:1', index);
      const from = `oci:${store.dir}:docker.io/lkt/t:1`;
      const arch = ['--override-os', 'linux', '--override-arch', 'amd64'];
      const inspected = JSON.parse(run('skopeo', [...arch, 'inspect', from]).toString()) as Record<
        string,
        unknown
      >;
      expect(inspected).toMatchObject({
        Digest: index.digest,
        Architecture: 'amd64',
        Created: '2017-04-18T16:30:00Z',
        Labels: { a: 'b' },
      });
      const copy = join(store.dir, '..', 'copy');
      await mkdir(copy);
      run('skopeo', ['copy', '--all', '--preserve-digests', '--quiet', from, `oci:${copy}:t`]);
      expect((await readdir(join(copy, 'blobs/sha256'))).toSorted()).toEqual(
        (await readdir(join(store.dir, 'blobs/sha256'))).toSorted(),
      );
      // The reverse: a layout written by skopeo opens as a store.
      const other = await openStore(copy);
      expect(await other.resolve('t')).toMatchObject({ digest: index.digest });
      expect((await other.verify()).bad).toEqual([]);
    });
  });
});
