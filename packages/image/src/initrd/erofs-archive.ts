import { crc32 } from 'node:zlib';
import { reportStep } from '@lkt/core';
import type { RawPath } from '@lkt/oci';
import {
  checkCpioEntry,
  type Compression,
  cpioHeader,
  cpioTrailer,
  type ErofsCompressor,
  type HeadedBytes,
  planErofs,
  zeros,
} from '@lkt/formats';
import type { MadeFile } from '../cache.ts';
import { filesKey, filesOf } from '../output/plan-files.ts';
import type { Plan } from '../plan.ts';
import { rootEntry } from '../tree/memory.ts';
import type { TreeEntry } from '../tree/part.ts';
import { type MountedRoot, ROOTS } from './erofs-roots.ts';

/** Bump when the bytes change for unchanged entries. */
const VERSION = 'erofs archive 2';

/** A cpio archive with a single file: an erofs image of a root. */
export interface ErofsArchive {
  readonly root: MountedRoot;
  /** Entry of the file in the archive. */
  readonly entry: TreeEntry;
  /** CRC-32 of the erofs image. */
  readonly sum: number;
  readonly file: MadeFile;
}

/**
 * Returns the archive, from the cache if possible.
 * @throws LktError UNSUPPORTED for entries that erofs or cpio cannot hold
 */
export async function erofsArchive(
  plan: Plan,
  root: MountedRoot,
  compression: Compression,
  compressor: ErofsCompressor,
): Promise<ErofsArchive> {
  const { cache, reporter } = plan;
  const path = `${ROOTS}/${root.target === '' ? 'root' : root.target}.erofs`;
  const step = { id: `segment ${path}`, title: root.label };
  const work = async (): Promise<ErofsArchive> => {
    const image = planErofs(filesOf(plan.root.parts, root.entries), compressor);
    const archive = archiveOf(path, image);
    const inputs = [VERSION, path, compression.key, filesKey(plan.root.parts, root.entries)];
    const file = await cache.file(
      inputs,
      () => archive.bytes(),
      () => archive.head(),
    );
    const sum = await cache.text(['crc-32 of an erofs 1', file.digest], async () =>
      String(await sumOf(cache.read(file), headerOf(path).length)),
    );
    const size = file.size - headerOf(path).length - cpioTrailer().length;
    return { root, entry: entryOf(path, size), sum: Number(sum), file };
  };
  return reportStep(reporter, step, work, ({ file }) => file.cached);
}

/** The head is known only at the end: the size in the cpio header, and the erofs superblock. */
function archiveOf(path: RawPath, image: HeadedBytes): HeadedBytes {
  let size = 0;
  return {
    bytes: async function* () {
      yield* zeros(headerOf(path).length);
      for await (const piece of image.bytes()) {
        size += piece.length;
        yield piece;
      }
      yield cpioTrailer();
    },
    head: function* () {
      const entry = entryOf(path, size);
      checkCpioEntry(entry, 'the image');
      yield cpioHeader(entry, { number: 1, links: 1 }, size);
      yield* image.head();
    },
  };
}

function headerOf(path: RawPath): Buffer {
  return cpioHeader(entryOf(path, 0), { number: 1, links: 1 }, 0);
}

function entryOf(path: RawPath, size: number): TreeEntry {
  return rootEntry(path, 'file', 0o444, size);
}

/** Returns the CRC-32 of the bytes between the cpio header and trailer. */
async function sumOf(archive: AsyncIterable<Uint8Array>, header: number): Promise<number> {
  const trailer = cpioTrailer().length;
  let sum = 0;
  let skip = header;
  let held = Buffer.alloc(0);
  for await (const piece of archive) {
    const bytes = Buffer.concat([held, piece]);
    const start = Math.min(skip, bytes.length);
    const end = Math.max(start, bytes.length - trailer);
    skip -= start;
    sum = crc32(bytes.subarray(start, end), sum);
    held = bytes.subarray(end);
  }
  return sum;
}
