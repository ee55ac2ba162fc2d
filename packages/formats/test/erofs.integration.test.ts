import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  oneof,
  record,
  tuple,
} from 'fast-check';
import { LktError } from '@lkt/core';
import { fileChunks, readTar } from '@lkt/oci';
import { expect, it, onTestFinished } from 'vitest';
import { listDirectory, run, sha256 } from '@lkt/testing/file-listing';
import { chooseCompression } from '../src/compression/compressor.ts';
import type { Compressor } from '../src/compression/compressors.ts';
import { randomAccess, readErofs } from '../src/erofs/reader.ts';
import { readFileFacts } from '../src/file-system/file-facts.ts';
import { planErofs } from '../src/erofs/erofs.ts';
import { erofsCompressor } from '../src/erofs/compressor.ts';
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

const COMPRESSORS = ['zstd', 'gzip', 'lz4', 'none'] as const;

async function erofs(tree: Tree, compressor: Compressor = 'zstd'): Promise<string> {
  const packing = erofsCompressor(await chooseCompression(compressor));
  if (packing === undefined) throw new Error(compressor);
  const path = join(tempDir(), 'x.img');
  await writeHeaded(path, planErofs(treeFiles(tree), packing));
  return path;
}

/** Extracts an image with erofs-utils; in memory, because it syncs each file. */
function extracted(image: string, dir = memoryDir()): string {
  const out = join(dir, 'out');
  run('fsck.erofs', '-d1', '--xattrs', `--extract=${out}`, image);
  return out;
}

function memoryDir(): string {
  const dir = mkdtempSync('/dev/shm/lkt-erofs-');
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Unpacks a tree with bsdtar. */
async function unpacked(tree: Tree): Promise<string> {
  const dir = memoryDir();
  const out = join(dir, 'out');
  await treeTar(tree, join(dir, 'x.tar'));
  mkdirSync(out);
  run('bsdtar', '-xpf', join(dir, 'x.tar'), '-C', out);
  return out;
}

/** Removes devices and other owners unless root runs the test. */
function forMe(tree: Tree): Tree {
  if (process.getuid?.() === 0) return tree;
  const entries = Object.entries(tree).filter(
    ([, { type }]) => type !== 'char' && type !== 'block',
  );
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()];
  return Object.fromEntries(entries.map(([path, entry]) => [path, { ...entry, uid, gid }]));
}

it.for(COMPRESSORS)(
  'erofs-utils finds the same tree as in a tar archive, compressed with %s',
  async (compressor) => {
    const tree = forMe(oddTree(255));
    const image = await erofs(tree, compressor);
    expect(listDirectory(extracted(image))).toEqual(listDirectory(await unpacked(tree)));
  },
);

it('erofs-utils accepts directories of many blocks', async () => {
  const image = await erofs(oddTree(255));
  run('fsck.erofs', '--extract', image);
  expect(run('dump.erofs', '--ls', '--path=/many', image).match(/long name/g)).toHaveLength(3000);
});

it('stores attributes', async () => {
  const attributes = new Map([
    ['user.one', Buffer.from('1')],
    ['user.large', noise(2000, 'large')],
    ['other.unknown', Buffer.from('2')],
  ]);
  const small = new Map([['user.one', Buffer.from('1')]]);
  const tree = {
    '': directory(0o755, { xattrs: attributes }),
    'empty file': file('', { xattrs: small }),
    'long file': file(noise(10_000, 'long'), { xattrs: attributes }),
    'packed file': file('text '.repeat(10_000), { xattrs: small }),
    'short file': file(noise(4020, 'short'), { xattrs: small }),
    'with/directory': directory(0o755, { xattrs: attributes }),
  };
  for (const compressor of ['zstd', 'none'] as const) {
    const out = extracted(await erofs(tree, compressor), tempDir());
    const script = `import os, sys
for name in sys.argv[1:]:
  for key in sorted(os.listxattr(name)):
    print(os.path.basename(name), key, len(os.getxattr(name, key)))`;
    const names = Object.keys(tree).map((name) => join(out, name));
    const large = ['user.large 2000', 'user.one 1'];
    expect(
      run('python3', '-c', script, ...names)
        .trim()
        .split('\n'),
    ).toEqual([
      ...large.map((line) => `out ${line}`),
      'empty file user.one 1',
      ...large.map((line) => `long file ${line}`),
      'packed file user.one 1',
      'short file user.one 1',
      ...large.map((line) => `directory ${line}`),
    ]);
  }
});

it('stores capabilities and access control lists as attributes', async () => {
  const image = await erofs({
    with: file('x', {
      xattrs: new Map([
        ['security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex')],
        ['system.posix_acl_access', Buffer.from('02000000', 'hex')],
        ['trusted.x', Buffer.from('t')],
      ]),
    }),
  });
  expect(run('dump.erofs', '--path=/with', image)).toContain('Xattr size: 64');
  run('fsck.erofs', '--extract', image);
});

it('keeps attribute names that are not ASCII', async () => {
  const name = Buffer.from('user.größe').toString('latin1');
  const image = await erofs({ a: file('x', { xattrs: new Map([[name, Buffer.from('1')]]) }) });
  expect(readFileSync(image).includes('größe')).toBe(true);
  await using opened = await open(image, 'r');
  const entries = await Array.fromAsync(readErofs(await randomAccess(opened)));
  expect(entries.at(-1)?.xattrs?.has(name)).toBe(true);
});

it.for(COMPRESSORS)(
  'stores contents of any sizes, equal or not, compressed with %s',
  async (compressor) => {
    const size = oneof(
      constantFrom(0, 1, 3999, 4064, 4095, 4096, 4097, 8192, 131_071, 131_072, 131_073, 135_168),
      integer({ min: 0, max: 600_000 }),
    );
    const content = record({
      size,
      seed: integer({ min: 0, max: 2 }),
      kind: constantFrom('noise', 'text', 'zeros', 'both'),
      from: constantFrom(0, 0, 131_072),
    }).map(({ size: length, seed, kind, from }) => {
      const whole = {
        noise: () => noise(length + from, `${seed}`),
        text: () => Buffer.from(`words ${seed} `.repeat((length + from) / 7)),
        zeros: () => Buffer.alloc(length + from),
        both: () => Buffer.concat([Buffer.alloc(131_072), noise(length + from, `${seed}`)]),
      }[kind]();
      return whole.subarray(from, from + length);
    });
    const files = array(tuple(content, constantFrom(1_492_533_000, 5)), { maxLength: 20 });
    await assert(
      asyncProperty(files, async (list) => {
        const tree = forMe(
          Object.fromEntries(
            list.map(([data, mtime], index) => [`${index}`, file(data, { mtime })]),
          ),
        );
        const image = await erofs(tree, compressor);
        expect(listDirectory(extracted(image))).toEqual(listDirectory(await unpacked(tree)));
      }),
      { numRuns: 4 },
    );
  },
);

it.for(COMPRESSORS)(
  'stores the last byte of a repeating content, compressed with %s',
  async (compressor) => {
    const tree = forMe({ file: file(Buffer.alloc(2 * 131_072 + 1, 'repeated')) });
    const image = await erofs(tree, compressor);
    expect(listDirectory(extracted(image))).toEqual(listDirectory(await unpacked(tree)));
  },
);

it('stores equal contents once', async () => {
  const large = noise(1_000_000, 'large');
  const other = Buffer.concat([large.subarray(0, 300_000), Buffer.from('!'), large]);
  for (const compressor of ['zstd', 'none'] as const) {
    const sizeOf = async (tree: Tree): Promise<number> =>
      statSync(await erofs(tree, compressor)).size;
    const once = await sizeOf({ a: file(large) });
    expect((await sizeOf({ a: file(large), b: file(large) })) - once).toBeLessThan(8192);
    // A common beginning of two contents is shared.
    const both = await sizeOf({ a: file(large), b: file(other) });
    expect(both - once).toBeLessThan(other.length - 200_000);
  }
});

it('compresses compressible contents', async () => {
  const tree = { a: file('the same words again and again\n'.repeat(50_000)) };
  const plain = statSync(await erofs(tree, 'none')).size;
  for (const compressor of ['zstd', 'gzip', 'lz4'] as const)
    expect(statSync(await erofs(tree, compressor)).size).toBeLessThan(plain / 10);
});

it.for(COMPRESSORS)(
  'readErofs finds the same as erofs-utils, compressed with %s',
  async (compressor) => {
    const both = Buffer.concat([Buffer.alloc(131_072), noise(200_000, 'both')]);
    const tree = {
      ...oddTree(255),
      both: file(both),
      chunked: file(Buffer.concat([both.subarray(131_072), Buffer.from('!'.repeat(5000)), both])),
      text: file('words and words '.repeat(30_000)),
      attributes: file('x', {
        xattrs: new Map([
          ['user.one', Buffer.from('1')],
          ['trusted.two', Buffer.from('22')],
        ]),
      }),
    };
    const image = await erofs(tree, compressor);
    await using opened = await open(image, 'r');
    const found = await readFileFacts(readErofs(await randomAccess(opened)));
    const plain = join(tempDir(), 'x.tar');
    await treeTar(tree, plain);
    const expected = await readFileFacts(readTar(fileChunks(plain)));
    const withoutRoot = new Map([...found].filter(([path]) => path !== ''));
    const wanted = new Map([...expected].filter(([path]) => path !== '' && path !== '.'));
    expect(Object.fromEntries(withoutRoot)).toEqual(Object.fromEntries(wanted));
  },
);

it.each(['first-one', 'a-later-1'])(
  'readErofs rejects a directory in which the kernel would not find %s',
  async (name) => {
    const image = await erofs({ 'first-one': file('1'), 'other-one': file('2') }, 'none');
    const bytes = readFileSync(image);
    bytes.write(name, bytes.indexOf('other-one'));
    writeFileSync(image, bytes);
    await using opened = await open(image, 'r');
    await expect(readFileFacts(readErofs(await randomAccess(opened)))).rejects.toThrow(
      'the names are not in order',
    );
  },
);

it('readErofs reads or rejects damaged images', async () => {
  const image = await erofs({ ...smallTree, text: file('words '.repeat(40_000)) }, 'zstd');
  const bytes = readFileSync(image);
  const path = join(tempDir(), 'damaged');
  await assert(
    asyncProperty(
      integer({ min: 0, max: bytes.length - 1 }),
      integer({ min: 1, max: 255 }),
      integer({ min: 0, max: bytes.length }),
      async (at, by, end) => {
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8(damaged.readUInt8(at) ^ by, at);
        writeFileSync(path, at % 3 === 0 ? damaged.subarray(0, end) : damaged);
        await using opened = await open(path, 'r');
        try {
          await readFileFacts(readErofs(await randomAccess(opened)), { maxEntries: 1000 });
        } catch (error) {
          if (!(error instanceof LktError)) throw error;
        }
      },
    ),
    { numRuns: 300 },
  );
});

it('has golden digests', async () => {
  expect({
    none: sha256(await erofs(smallTree, 'none')),
    lz4: sha256(await erofs(smallTree, 'lz4')),
  }).toMatchInlineSnapshot(`
    {
      "lz4": "569ee14ec524bc51b3dfed8d2e26caa92daaee9b423ba03fa4d09a8b72d7eecb",
      "none": "cbc3055ec6a47b79871b3201fa14a99fbeeb101c81985342bfb2b754888da814",
    }
  `);
});

it('rejects names and attributes that are too long', async () => {
  await expect(erofs({ [`a/${'n'.repeat(256)}`]: file('') })).rejects.toThrow(
    'has a name of 256 bytes; an erofs allows at most 255',
  );
  const xattrs = new Map([['user.x', Buffer.alloc(65_536)]]);
  await expect(erofs({ a: file('', { xattrs }) })).rejects.toThrow(
    '/a has an extended attribute user.x of 65536 bytes; an erofs allows at most 65535',
  );
});
