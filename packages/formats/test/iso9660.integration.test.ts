import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { listing, run, sha256 } from '@lkt/testing/file-listing';
import { type FileContent, fileSystemOf } from '../src/file-system/file-system.ts';
import { type BootImage, planIso } from '../src/iso9660/iso9660.ts';
import {
  directory,
  file,
  noise,
  oddTree,
  smallTree,
  type Tree,
  treeFiles,
  treeTar,
  writeHeaded,
} from './file-systems.ts';
import { chunks, collect, tempDir } from './support.ts';

async function isoOf(tree: Tree, boot: readonly BootImage[] = []): Promise<string> {
  const path = join(tempDir(), 'x.iso');
  await writeHeaded(path, planIso(treeFiles(tree), { volumeId: 'TEST', boot }));
  return path;
}

it('libarchive finds the same tree as in a tar archive', async () => {
  // libarchive and libisofs support only 8-bit minor numbers.
  const { 'dev/many': _, ...tree } = oddTree(253);
  const iso = await isoOf(tree);
  const tar = join(tempDir(), 'x.tar');
  await treeTar(tree, tar);
  expect(listing(iso)).toEqual(listing(tar));
});

it('libisofs reads it without warnings, with all contents', async () => {
  // libisofs supports symlink targets up to 1024 bytes.
  const { 'dev/many': _, 'links/long': __, ...tree } = oddTree(253);
  const iso = await isoOf(tree);
  const out = tempDir();
  run(
    'xorriso',
    '-abort_on',
    'WARNING',
    '-osirrox',
    'on',
    '-indev',
    iso,
    '-extract',
    '/many',
    join(out, 'many'),
    '-extract',
    '/big.bin',
    join(out, 'big'),
  );
  expect(readFileSync(join(out, 'big'))).toEqual(tree['big.bin']?.data);
  expect(readFileSync(join(out, 'many/file with a long name 2999'), 'utf8')).toBe('2999');
  const found = run('xorriso', '-indev', iso, '-find', '/dev', '-exec', 'lsdl');
  expect(found).toMatch(/^crw------- +1 0 +0 +5,1 .* '\/dev\/console'$/m);
  expect(found).toMatch(/^brw-rw---- +1 0 +6 +259,3 .* '\/dev\/nvme0n1'$/m);
});

it('has a golden digest', async () => {
  expect(sha256(await isoOf(smallTree))).toMatchInlineSnapshot(
    `"9751cfc49ba014a378c3cb144e5b01f0c6adffa241dadf1038130b4fae8ea83c"`,
  );
});

it('names without Rock Ridge are upper case and unique', async () => {
  const iso = await isoOf({
    'name.txt': file('1'),
    'Name.txt': file('2'),
    'NAME.TXT': file('3'),
    'a b.c': file('4'),
    [`${'l'.repeat(60)}.conf`]: file('5'),
    [`${'l'.repeat(61)}.conf`]: file('6'),
    '..x': file('7'),
    'dir.d': directory(),
  });
  const names = run('isoinfo', '-f', '-i', iso).trim().split('\n');
  expect(names).toEqual(names.toSorted());
  expect(new Set(names).size).toBe(8);
  for (const name of names) expect(name).toMatch(/^\/[A-Z0-9_]+(?:\.[A-Z0-9_]*;1)?$/);
});

it('firmware finds the boot images', async () => {
  const loader = noise(5000, 'loader');
  const efi = noise(40_000, 'efi');
  const tree = { 'isolinux/isolinux.bin': file(loader), 'isolinux/isolinux.cfg': file('x') };
  const boot: BootImage[] = [
    { platform: 'bios', path: 'isolinux/isolinux.bin', size: 5000, data: loader, infoTable: true },
    {
      platform: 'efi',
      size: efi.length,
      data: async function* () {
        yield efi;
      },
    },
  ];
  const iso = planIso(treeFiles(tree), {
    volumeId: 'BOOT',
    boot,
    systemArea: ({ boot: [first] }) => Buffer.from(`code at ${first?.start}`),
  });
  const path = join(tempDir(), 'x.iso');
  await writeHeaded(path, iso);
  const bytes = readFileSync(path);
  expect(bytes.length).toBe(iso.size);
  expect(bytes.subarray(0, 11).toString('latin1')).toBe('code at 25\0');
  const report = run('xorriso', '-indev', path, '-report_el_torito', 'plain');
  expect(report).toMatch(/^El Torito boot img : +1 +BIOS +y +none +0x0000 +0x00 +4 +25$/m);
  expect(report).toMatch(/^El Torito boot img : +2 +UEFI +y +none +0x0000 +0x00 +80 +28$/m);
  expect(report).toMatch(/boot-info-table/);
  expect(iso.boot).toEqual([
    { start: 25, size: 5000 },
    { start: 28, size: 40_000 },
  ]);
  expect(bytes.subarray(28 * 2048, 28 * 2048 + 40_000)).toEqual(efi);
  expect(run('isoinfo', '-d', '-i', path)).toContain('Eltorito validation header:');
});

it('splits a file over 4 GiB into extents', async () => {
  const size = 2 ** 32 + 5000;
  const files = treeFiles({ big: { type: 'file', size, file: 'big' }, small: file('x') });
  const piece = Buffer.alloc(2 ** 20);
  const contents = async function* (): AsyncGenerator<FileContent> {
    for (const group of files.files) {
      const [inode] = group;
      const data = (async function* () {
        for (let done = 0; done < inode.size; done += piece.length)
          yield piece.subarray(0, Math.min(piece.length, inode.size - done));
      })();
      yield { files: group, data };
    }
  };
  const iso = planIso({ ...files, contents }, { volumeId: 'BIG' });
  let total = 0;
  for await (const chunk of iso.bytes()) total += chunk.length;
  expect(total).toBe(iso.size);
  const head = Buffer.concat([...iso.head()]);
  const records = head.subarray(head.indexOf('BIG.;1') - 33);
  expect([records.readUInt32LE(10), records.readUInt8(25)]).toEqual([2 ** 32 - 2048, 0x80]);
  const second = records.subarray(records.readUInt8(0));
  expect([second.readUInt32LE(10), second.readUInt8(25)]).toEqual([5000 + 2048, 0]);
  expect(second.readUInt32LE(2)).toBe(records.readUInt32LE(2) + 2 ** 21 - 1);
});

it('rejects names that are too long and too many directories', async () => {
  const long = treeFiles({ [`a/${'n'.repeat(254)}`]: file('x') });
  expect(() => planIso(long, { volumeId: 'X' })).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: `/a/${'n'.repeat(254)} has a name of 254 bytes; an ISO image allows at most 253`,
    }),
  );
  const directories = Object.fromEntries(
    Array.from({ length: 65_535 }, (_, index) => [`${index}`, directory()]),
  );
  expect(() => planIso(treeFiles(directories), { volumeId: 'X' })).toThrow(
    '/9999 is one directory too many: an ISO image has at most 65535',
  );
});

it.for([
  [3, '/f of x has 3 bytes of content instead of 4'],
  [5, '/f of x has more bytes of content than 4'],
  [undefined, '/f of x has no content'],
] as const)('rejects a content of %s bytes instead of 4', async ([length, message]) => {
  const head = { path: 'f', type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 4 } as const;
  const files = fileSystemOf([{ ...head, file: 'f', label: 'x' }], async function* () {
    if (length !== undefined) yield { content: 'f', data: chunks(Buffer.alloc(length)) };
  });
  await expect(collect(planIso(files, { volumeId: 'X' }).bytes())).rejects.toThrow(message);
});
