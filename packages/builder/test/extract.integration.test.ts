import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EntryWithContent } from '@lkt/oci';
import { expect, test } from 'vitest';
import { extractLayer } from '../src/layers/extract.ts';
import { layerEntries } from '../src/layers/layer-entries.ts';
import { getAttribute } from '../src/system/special-files.ts';
import { directory, file, link, scratch } from './fixture.ts';

async function extract(target: string, entries: readonly EntryWithContent[]): Promise<void> {
  mkdirSync(target);
  await extractLayer(each(entries), target, { canMakeDevices: process.getuid?.() === 0 });
}

async function* each(entries: readonly EntryWithContent[]): AsyncGenerator<EntryWithContent> {
  yield* entries;
}

const hard = (path: string, target: string): EntryWithContent => ({
  ...file(path, ''),
  type: 'hardlink',
  link: target,
});

test.each<[string, (outside: string) => EntryWithContent[]]>([
  ['a link as a directory', (outside) => [link('a', outside), file('a/new', 'x')]],
  ['a link further up', (outside) => [link('a', outside), file('a/dir/new', 'x')]],
  [
    'a directory that becomes a link',
    (outside) => [directory('a'), link('a', outside), file('a/new', 'x')],
  ],
  [
    'directories that become a link',
    (outside) => [directory('a'), directory('a/dir'), link('a', outside), file('a/dir/new', 'x')],
  ],
  ['a hard link through a link', (outside) => [link('a', outside), hard('b', 'a/victim')]],
  ['a hard link to what is not in the layer', () => [hard('b', 'nothing')]],
  ['a whiteout of the parent', () => [file('.wh...', '')]],
  [
    'a device that means a whiteout',
    () => [{ ...file('a', ''), type: 'char', devMajor: 0, devMinor: 0 }],
  ],
])('rejects %s', async (_name, entriesFor) => {
  using place = scratch();
  const outside = join(place.path, 'outside');
  mkdirSync(join(outside, 'dir'), { recursive: true });
  writeFileSync(join(outside, 'victim'), 'safe');
  await expect(extract(join(place.path, 'layer'), entriesFor(outside))).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
  });
  expect(readdirSync(outside)).toEqual(['dir', 'victim']);
  expect(readdirSync(join(outside, 'dir'))).toEqual([]);
  expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('safe');
});

test('does not write a file through a link with its name', async () => {
  using place = scratch();
  writeFileSync(join(place.path, 'outside'), 'safe');
  const layer = join(place.path, 'layer');
  await extract(layer, [link('a', '../outside'), file('a', 'new', 0o600)]);
  expect(readFileSync(join(place.path, 'outside'), 'utf8')).toBe('safe');
  expect(readFileSync(join(layer, 'a'), 'utf8')).toBe('new');
  expect(statSync(join(place.path, 'outside')).mode & 0o777).toBe(0o644);
});

test('unpacks a layer from which the same entries are read', async () => {
  using place = scratch();
  const layer = join(place.path, 'layer');
  const late = { ...directory('d', 0o1777), mtime: 5 };
  const fifo: EntryWithContent = { ...file('d/fifo', ''), type: 'fifo', mode: 0o640 };
  const attributes = new Map([['user.note', Buffer.from([0, 1, 255])]]);
  await extract(layer, [
    late,
    fifo,
    { ...file('d/file', 'text', 0o4755), mtime: 1_000_000_000, xattrs: attributes },
    hard('d/hard', 'd/file'),
    { ...link('d/link', 'caf\u00c3\u00a9'), mtime: 7 },
    file('d/\u00ff\u00fe', ''),
    file('.wh.gone', ''),
    file('implied/deep/file', 'x'),
  ]);
  const entries = [...layerEntries(layer)].map(({ path, type, mode, mtime, link: target, size }) =>
    [type, mode.toString(8), mtime, size, path, target].join(' ').trim(),
  );
  expect(entries).toEqual([
    'directory 1777 5 0 d',
    'fifo 640 1492533000 0 d/fifo',
    'file 4755 1000000000 4 d/file',
    'hardlink 4755 1000000000 0 d/hard d/file',
    'symlink 777 7 0 d/link caf\u00c3\u00a9',
    'file 644 1492533000 0 d/\u00ff\u00fe',
    'file 0 0 0 .wh.gone',
    'directory 755 1492533000 0 implied',
    'directory 755 1492533000 0 implied/deep',
    'file 644 1492533000 1 implied/deep/file',
  ]);
  const found = [...layerEntries(layer)].find(({ path }) => path === 'd/file');
  expect([...(found?.xattrs ?? [])]).toEqual([...attributes]);
});

test('creates whiteouts as overlay file systems use them', async () => {
  using place = scratch();
  const layer = join(place.path, 'layer');
  await extract(layer, [
    directory('opaque'),
    file('opaque/.wh..wh..opq', ''),
    file('.wh.gone', ''),
    file('.wh.replaced', ''),
    directory('replaced'),
    file('.wh..wh.plnk', ''),
  ]);
  const opaque = (path: string): string =>
    getAttribute(join(layer, path), 'user.overlay.opaque').toString();
  expect(opaque('opaque')).toBe('y');
  expect(opaque('replaced')).toBe('y');
  expect(execFileSync('stat', ['-c', '%F %t %T', join(layer, 'gone')], { encoding: 'utf8' })).toBe(
    'character special file 0 0\n',
  );
  expect(readdirSync(layer)).toEqual(['gone', 'opaque', 'replaced']);
});
