import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestHex, digestOf, LktError } from '@lkt/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFileFacts, type FileMap } from '../src/file-system/file-facts.ts';
import { cpioHeader, cpioPadding, cpioTrailer } from '../src/cpio/cpio.ts';
import { readInitrd } from '../src/cpio/initrd-reader.ts';
import { tempDir } from './support.ts';

const CONTENT = 'some words, '.repeat(50_000);
const PACKERS = [
  ['cat'],
  ['gzip', '-c'],
  ['zstd', '-qc'],
  ['lz4', '-lqc'],
  ['xz', '-c', '--check=crc32'],
];

/** Writes an archive with cpio(1). */
function archive(name = 'first'): Buffer {
  const dir = tempDir();
  mkdirSync(join(dir, `${name}-dir`), { mode: 0o750 });
  writeFileSync(join(dir, `${name}-dir/file`), CONTENT + name, { mode: 0o640 });
  linkSync(join(dir, `${name}-dir/file`), join(dir, `${name}-dir/other`));
  symlinkSync('../target', join(dir, `${name}-link`));
  writeFileSync(join(dir, `${name}-empty`), '');
  const input = [
    `${name}-dir`,
    `${name}-dir/file`,
    `${name}-dir/other`,
    `${name}-link`,
    `${name}-empty`,
  ].join('\n');
  return execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: dir, input });
}

/** Returns an entry of a file with several names. */
function linked(path: string, text: string, mode = 0o644): Buffer {
  const head = { path, type: 'file', mode, uid: 0, gid: 0, mtime: 0, size: text.length } as const;
  return Buffer.concat([
    cpioHeader(head, { number: 7, links: 2 }, text.length),
    Buffer.from(text),
    cpioPadding(text.length),
  ]);
}

function directory(path: string): Buffer {
  const head = { path, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0 } as const;
  return cpioHeader(head, { number: 8, links: 2 }, 0);
}

function symlink(path: string, link: string): Buffer {
  const head = { path, type: 'symlink', mode: 0o777, uid: 0, gid: 0, mtime: 0, size: 0 } as const;
  const header = cpioHeader(head, { number: 9, links: 1 }, link.length);
  return Buffer.concat([header, Buffer.from(link), cpioPadding(link.length)]);
}

/** Yields chunks that align with no structure. */
async function* pieces(data: Buffer, length = 1021): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += length) yield data.subarray(at, at + length);
}

async function read(data: Buffer, limits = {}): Promise<FileMap> {
  return readFileFacts(readInitrd(pieces(data)), limits);
}

/** Pads to a multiple of four; four more zeros end an lz4 archive, as the kernel expects. */
function aligned(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(4 + ((4 - (data.length % 4)) % 4))]);
}

describe('readInitrd', () => {
  it('reads consecutive archives of any compression', async () => {
    const initrd = Buffer.concat(
      PACKERS.map(([program = '', ...args], index) =>
        aligned(execFileSync(program, args, { input: archive(`part${index}`) })),
      ),
    );
    const files = await read(initrd);
    expect(files.size).toBe(5 * PACKERS.length);
    for (const index of PACKERS.keys()) {
      const name = `part${index}`;
      const sum = digestHex(digestOf(CONTENT + name));
      const file = files.get(`${name}-dir/file`);
      expect(file).toMatchObject({ type: 'file', mode: 0o640, hash: sum });
      expect(files.get(`${name}-dir/other`)).toEqual(file);
      expect(files.get(`${name}-dir`)).toMatchObject({ type: 'directory', mode: 0o750 });
      expect(files.get(`${name}-link`)).toMatchObject({ type: 'symlink', link: '../target' });
      expect(files.get(`${name}-empty`)?.hash).toBe(undefined);
    }
  });

  it('prefers later entries', async () => {
    const [one, two] = [archive(), archive()];
    two.write('later words,', two.indexOf('some words,'));
    const files = await read(Buffer.concat([aligned(one), Buffer.alloc(512), two]));
    expect(files.get('first-dir/file')).toEqual((await read(two)).get('first-dir/file'));
    expect(files.get('first-dir/file')).not.toEqual((await read(one)).get('first-dir/file'));
  });

  it.each([
    ['nothing', Buffer.alloc(100), 'the initrd contains no archive'],
    ['another format', Buffer.from('#!/bin/sh and more'), 'begins with 23212f62'],
    ['a malformed header', Buffer.from('0707'.padEnd(200, 'x')), 'no newc magic number'],
    [
      'a name that leads out of the archive',
      renamed('../../etc/x'),
      '"../../etc/x" leads out of the archive',
    ],
    ['a name that is too long', longName(), 'a name has 1048576 bytes'],
    ['a major number beyond 12 bits', device(0x1000, 1), '"dev" has an invalid device number'],
    ['a minor number beyond 20 bits', device(1, 0x10_0000), '"dev" has an invalid device number'],
  ])('rejects %s', async (_name, data, message) => {
    await expect(read(data)).rejects.toThrow(message);
  });

  it('gives all names of a file the last content, as the kernel does', async () => {
    const files = await read(
      Buffer.concat([linked('a', 'good'), linked('b', 'evil!'), linked('c', ''), cpioTrailer()]),
    );
    const evil = { type: 'file', size: 5, hash: digestHex(digestOf('evil!')) };
    expect([...files].map(([path]) => path)).toEqual(['a', 'b', 'c']);
    for (const facts of files.values()) expect(facts).toMatchObject(evil);
    const none = await read(Buffer.concat([linked('a', ''), linked('b', ''), cpioTrailer()]));
    for (const path of ['a', 'b']) expect(none.get(path)).toMatchObject({ type: 'file', size: 0 });
  });

  it('gives root what has no owner, as the kernel does', async () => {
    const none = { uid: 0xffff_ffff, gid: 0xffff_ffff, mtime: 0, size: 0 };
    const entry = { path: 'su', type: 'file', mode: 0o4755, ...none } as const;
    const files = await read(
      Buffer.concat([cpioHeader(entry, { number: 1, links: 1 }, 0), cpioTrailer()]),
    );
    expect(files.get('su')).toMatchObject({ mode: 0o4755, uid: 0, gid: 0 });
  });

  it('rejects names of a file with different modes, of which the kernel would use the last', async () => {
    const data = [linked('a', 'x', 0o644), linked('b', '', 0o4755), cpioTrailer()];
    await expect(read(Buffer.concat(data))).rejects.toThrow('"b" is "a" with another mode');
  });

  it('follows symlinks of earlier archives to where the kernel writes a file', async () => {
    const initrd = [
      directory('etc'),
      linked('etc/shadow', 'good', 0o600),
      symlink('x', 'y/..//etc'),
      cpioTrailer(),
      directory('y'),
      symlink('z', '/x'),
      linked('z/shadow', 'evil', 0o600),
      cpioTrailer(),
    ];
    const files = await read(Buffer.concat(initrd));
    expect([...files.keys()].toSorted()).toEqual(['etc', 'etc/shadow', 'x', 'y', 'z']);
    expect(files.get('etc/shadow')?.hash).toBe(digestHex(digestOf('evil')));
  });

  it.each([
    ['a loop', [symlink('a', 'b'), symlink('b', 'a'), directory('a/x')], 'a loop of symlinks'],
    [
      'what the kernel leaves out',
      [directory('a'), directory('a/x'), symlink('a', 'b')],
      '"a" would replace a directory that is not empty',
    ],
  ])('rejects %s', async (_, entries, message) => {
    await expect(read(Buffer.concat([...entries, cpioTrailer()]))).rejects.toThrow(message);
  });

  it('rejects an archive over the limits', async () => {
    await expect(read(archive(), { maxEntries: 4 })).rejects.toThrow('more than 4 entries');
    await expect(read(archive(), { maxNames: 40 })).rejects.toThrow('more than 40 bytes');
  });

  it.each(PACKERS)('reads or rejects a damaged or truncated archive of %s', async (...by) => {
    const [program = '', ...args] = by;
    const whole = execFileSync(program, args, { input: archive() });
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: whole.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, flip, cuts) => {
          const data = Buffer.from(cuts ? whole.subarray(0, at) : whole);
          if (!cuts) data[at] = (data[at] ?? 0) ^ flip;
          await read(data).catch((error: unknown) => {
            expect(error).toBeInstanceOf(LktError);
          });
        },
      ),
      { numRuns: program === 'xz' ? 20 : 100 },
    );
  });
});

function renamed(name: string): Buffer {
  const numbers = [1, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.length + 1, 0];
  return Buffer.from(`070701${numbers.map(hex).join('')}${name}\0\0\0\0\0`);
}

function device(devMajor: number, devMinor: number): Buffer {
  const owner = { uid: 0, gid: 0, mtime: 0, size: 0, devMajor, devMinor };
  const entry = { path: 'dev', type: 'char', mode: 0o600, ...owner } as const;
  return Buffer.concat([cpioHeader(entry, { number: 1, links: 1 }, 0), cpioTrailer()]);
}

function longName(): Buffer {
  return Buffer.from(
    renamed('x')
      .toString('latin1')
      .replace(/00000002(?=00000000x)/, '00100000'),
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
