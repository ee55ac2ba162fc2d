import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { LktError } from '@lkt/core';
import type { EntryWithContent } from '@lkt/oci';
import { fuzz } from '@lkt/testing/fuzz';
import { describe, test } from 'vitest';
import { chooseCompression } from '../src/compression/compressor.ts';
import { cpioHeader, cpioPadding, cpioTrailer } from '../src/cpio/cpio.ts';
import { readInitrd } from '../src/cpio/initrd-reader.ts';
import { erofsCompressor } from '../src/erofs/compressor.ts';
import { planErofs } from '../src/erofs/erofs.ts';
import { readErofs } from '../src/erofs/reader.ts';
import { der, NULL, readDer, sequence } from '../src/pe/der.ts';
import { readPe } from '../src/pe/pe.ts';
import { file, smallTree, treeFiles, writeHeaded } from './file-systems.ts';
import { chunks, tempDir } from './support.ts';

const isRejection = (error: unknown): boolean => error instanceof LktError;

async function drain(entries: AsyncIterable<EntryWithContent>): Promise<void> {
  for await (const { content } of entries) for await (const chunk of content ?? []) void chunk;
}

/** Returns the header of an entry of a cpio archive. */
function entry(path: string, type: 'directory' | 'file' | 'symlink', size = 0): Buffer {
  const base = { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
  return cpioHeader({ ...base, path, type, size }, { number: 3, links: 1 }, size);
}

describe('file systems and archives', () => {
  test('readErofs only rejects with an LktError', async () => {
    const packing = erofsCompressor(await chooseCompression('lz4'));
    if (packing === undefined) throw new Error('there is no such compressor');
    const path = join(tempDir(), 'x.img');
    const tree = { ...smallTree, 'usr/bin/a': file('text '.repeat(2000)), 'usr/bin/b': file('b') };
    await writeHeaded(path, planErofs(treeFiles(tree), packing));
    await fuzz(
      [readFileSync(path)],
      async (image) =>
        drain(
          readErofs({
            size: image.length,
            read: async (at, length) => {
              if (at + length > image.length) throw new LktError('ARCHIVE_INVALID', 'truncated');
              return image.subarray(at, at + length);
            },
          }),
        ),
      isRejection,
    );
  });

  test('readInitrd only rejects with an LktError', async () => {
    const archive = Buffer.concat([
      entry('d', 'directory'),
      entry('d/f', 'file', 5),
      Buffer.from('hello'),
      cpioPadding(5),
      cpioTrailer(),
    ]);
    await fuzz(
      [archive, gzipSync(archive), zstdCompressSync(archive)],
      async (input) => drain(readInitrd(chunks(input))),
      isRejection,
    );
  });
});

describe('EFI programs', () => {
  test('readPe only rejects with an LktError', async () => {
    const program = Buffer.alloc(1024);
    program.write('MZ');
    program.writeUInt32LE(64, 0x3c);
    program.writeUInt32LE(0x4550, 64);
    program.writeUInt16LE(0x8664, 68);
    program.writeUInt16LE(2, 70);
    program.writeUInt16LE(240, 84);
    program.writeUInt16LE(0x20b, 88);
    await fuzz([program], (input) => readPe(input, 'x'), isRejection);
  });

  test('readDer only rejects with a RangeError', async () => {
    await fuzz(
      [sequence(NULL, der(4, Buffer.alloc(200)))],
      (input) => {
        for (let rest = input; rest.length > 0;) rest = readDer(rest).rest;
      },
      (error) => error instanceof RangeError,
    );
  });
});
