import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { listing, run, sha256 } from '@lkt/testing/file-listing';
import { chooseCompression } from '../src/compression/compressor.ts';
import type { Compressor } from '../src/compression/compressors.ts';
import { planSquashfs } from '../src/squashfs/squashfs.ts';
import { blockCompressor } from '../src/squashfs/compressor.ts';
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
import { tempDir } from './support.ts';

async function squashfs(tree: Tree, compressor: Compressor = 'zstd'): Promise<string> {
  const blocks = blockCompressor(await chooseCompression(compressor));
  if (blocks === undefined) throw new Error(compressor);
  const path = join(tempDir(), 'x.img');
  await writeHeaded(path, planSquashfs(treeFiles(tree), blocks));
  return path;
}

/** Converts an image to a tar archive with squashfs-tools-ng. */
function tarOf(image: string): string {
  const tar = join(tempDir(), 'x.tar');
  execFileSync('sh', ['-c', 'sqfs2tar "$1" > "$2"', 'sh', image, tar]);
  return tar;
}

const attributes = new Map([
  ['user.one', Buffer.from('1')],
  ['security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex')],
]);

it.for(['zstd', 'gzip', 'lz4', 'none'] as const)(
  'squashfs-tools-ng finds the same tree as in a tar archive, compressed with %s',
  async (compressor) => {
    const tree = oddTree(255);
    const image = await squashfs(tree, compressor);
    const tar = join(tempDir(), 'x.tar');
    await treeTar(tree, tar);
    expect(listing(tarOf(image))).toEqual(listing(tar));
  },
);

it('squashfs-tools unpacks links, attributes and holes', async () => {
  const tree: Tree = {
    ...oddTree(255),
    'with/attributes': file('x', { xattrs: attributes }),
    'with/the same': file('y', { xattrs: attributes }),
    'with/directory': directory(0o755, { xattrs: new Map([['user.two', noise(5000, 'two')]]) }),
  };
  const image = await squashfs(tree);
  const out = join(tempDir(), 'out');
  run(
    'unsquashfs',
    '-quiet',
    '-no-progress',
    '-no-xattrs',
    '-dest',
    out,
    image,
    'hard',
    'usr',
    '*.bin',
  );
  expect(statSync(join(out, 'hard/a'))).toMatchObject({ nlink: 3, size: 10_000 });
  expect(statSync(join(out, 'hard/a')).ino).toBe(statSync(join(out, 'usr/bin/c')).ino);
  expect(readFileSync(join(out, 'big.bin'))).toEqual(tree['big.bin']?.data);
  expect(readFileSync(join(out, 'zeros.bin')).equals(Buffer.alloc(1_500_000))).toBe(true);
  const shown = run('rdsquashfs', '-x', 'with/the same', image);
  expect(shown).toContain('user.one=1');
  expect(shown).toContain('security.capability=0x0100000200040000000000000000000000000000');
  expect(run('rdsquashfs', '-x', 'with/directory', image)).toContain('user.two=');
});

it('zstd windows are no longer than a block, as the kernel requires', async () => {
  const compress = blockCompressor(await chooseCompression('zstd'))?.compress;
  const block = Buffer.concat([noise(50_000, 'window'), Buffer.alloc(10_000)]);
  const [sync, async] = [compress?.sync(block), await compress?.async(block)];
  expect(sync).toEqual(async);
  // RFC 8878 §3.1.1.1.1: Single_Segment_flag
  expect((async?.[4] ?? 0) & 0x20).toBe(0x20);
});

it('has golden digests', async () => {
  expect({
    none: sha256(await squashfs(smallTree, 'none')),
    lz4: sha256(await squashfs(smallTree, 'lz4')),
  }).toMatchInlineSnapshot(`
    {
      "lz4": "439d6c19651f42bcce19040813e2539bb7a14ffc67d48ced4120dc73f967a9a3",
      "none": "320e7593e5d86386126b184d67485b1c158f628c1fb72ac065abe6951b94aadd",
    }
  `);
});

it('stores equal contents once', async () => {
  const large = noise(10_000_000, 'large');
  const other = Buffer.concat([large.subarray(0, -1), Buffer.from('!')]);
  const once = await squashfs({ a: file(large), c: file('small') });
  const twice = await squashfs({
    a: file(large),
    b: file(large),
    c: file('small'),
    d: file('small'),
  });
  expect(statSync(twice).size - statSync(once).size).toBeLessThan(8192);
  const tree = { a: file(large), b: file(other), c: file(large) };
  const image = await squashfs(tree);
  const tar = join(tempDir(), 'x.tar');
  await treeTar(tree, tar);
  expect(listing(tarOf(image))).toEqual(listing(tar));
});

it('keeps attribute names that are not ASCII', async () => {
  const name = Buffer.from('user.größe').toString('latin1');
  const image = await squashfs({ a: file('x', { xattrs: new Map([[name, Buffer.from('1')]]) }) });
  expect(run('rdsquashfs', '-x', 'a', image)).toContain('user.größe=1');
});

it.for([0xffff, 0x1_0000])('holds files of %i owners, or rejects them', async (count) => {
  const tree = Object.fromEntries(
    Array.from({ length: count }, (_, id) => [`${id}`, file('', { uid: id, gid: id })]),
  );
  if (count === 0xffff) {
    const image = await squashfs(tree, 'none');
    expect(run('unsquashfs', '-s', image)).toContain('Number of ids 65535');
  } else {
    await expect(squashfs(tree, 'none')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  }
});

it.for([
  ['user.x', 65_537],
  [`user.${'n'.repeat(251)}`, 1],
] as const)('rejects an attribute that Linux cannot read (%s, %i bytes)', async ([name, size]) => {
  const tree = { a: file('x', { xattrs: new Map([[name, Buffer.alloc(size)]]) }) };
  await expect(squashfs(tree)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});

/** Returns the name after the header at an offset of uncompressed metadata blocks. */
function nameAfter(table: Buffer, block: number, offset: number): string {
  const blocks: Buffer[] = [];
  for (let at = block; blocks.length < 2 && at + 2 < table.length;) {
    const size = table.readUInt16LE(at) & 0x7fff;
    blocks.push(table.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  // The header of a run and the head of its first entry.
  const entry = Buffer.concat(blocks).subarray(offset + 12);
  return entry.toString('latin1', 8, 9 + entry.readUInt16LE(6));
}

it('has an index of a large directory, in which the kernel finds a name quickly', async () => {
  const names = Array.from({ length: 10_000 }, (_, index) => `name${index}`);
  const image = readFileSync(
    await squashfs(Object.fromEntries(names.map((name) => [name, file('')])), 'none'),
  );
  const root = Number(image.readBigUInt64LE(32));
  const inodes = image.subarray(Number(image.readBigUInt64LE(64)));
  const directories = image.subarray(Number(image.readBigUInt64LE(72)));
  // The root is the last inode, and may continue in a further block.
  const blocks: Buffer[] = [];
  for (let at = Math.floor(root / 65_536); at < directories.byteOffset - inodes.byteOffset;) {
    const size = inodes.readUInt16LE(at) & 0x7fff;
    blocks.push(inodes.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  const inode = Buffer.concat(blocks).subarray(root % 65_536);
  const [count, offset] = [inode.readUInt16LE(32), inode.readUInt16LE(34)];
  expect(count).toBeGreaterThan(15);
  const found: string[] = [];
  for (let at = 40; found.length < count;) {
    const length = inode.readUInt32LE(at + 8) + 1;
    const name = inode.toString('latin1', at + 12, at + 12 + length);
    const position = (inode.readUInt32LE(at) + offset) % 8192;
    expect(nameAfter(directories, inode.readUInt32LE(at + 4), position)).toBe(name);
    found.push(name);
    at += 12 + length;
  }
  expect(found).toEqual(found.toSorted());
});

it('rejects names that are too long', async () => {
  await expect(squashfs({ [`a/${'n'.repeat(256)}`]: file('') })).rejects.toThrow(
    'has a name of 256 bytes; a squashfs allows at most 255',
  );
});
