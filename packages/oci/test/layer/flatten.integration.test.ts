import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  type EntryWithContent,
  flatten,
  fromRaw,
  openStore,
  parsePlatform,
  readFile,
  toRaw,
  writeImage,
  writeIndex,
  writeLayer,
} from '../../src/index.ts';
import { directory, entry, failure, file, hardlink, run, symlink } from '../support.ts';
import { withLayers, contents, whiteout } from './flatten-fixture.ts';

describe('readFiles', () => {
  test('detects damage of a layer after flattening, even behind the last file', async () => {
    const noise = randomBytes(2_000_000);
    await withLayers([[file('a', 'a'), file('z', noise)]], async ({ store, layers, tree }) => {
      const all = layers.map(({ descriptor }) => descriptor);
      const path = store.blobPath(all[0]?.digest ?? digestOf(''));
      const program = `import sys; f = open(sys.argv[1], 'r+b'); f.seek(-3, 2); f.write(b'xyz')`;
      run('python3', ['-c', program, path]);
      await failure('DIGEST_MISMATCH', readFile(store, all, tree, 'a', 10));
    });
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
      const tree = await flatten(store, layers);
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
      const data = await contents({ store, layers, tree });
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
