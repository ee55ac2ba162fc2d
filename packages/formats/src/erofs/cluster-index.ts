// fs/erofs/erofs_fs.h: z_erofs_lcluster_index, compact indexes
import { BLOCK } from './inode.ts';

/** A part of a content as it is stored. */
export interface StoredChunk {
  /** Its first block. */
  readonly start: number;
  /** How many there are. */
  readonly blocks: number;
  readonly isPacked: boolean;
}

// What a block of a packed file is: stored as it is, the first of a chunk, or another of it.
const PLAIN = 0;
const HEAD = 1;
const OTHER = 2;
/** Marks how many blocks a chunk takes, which the second of its entries says. */
const IS_COUNT = 0x800;
/** That a chunk may take more than a block. */
const LARGE = 2;
const HEADER = 16;
const ENTRY = 8;

/** What `packedIndex` gives at most for a content of so many bytes. */
export function packedIndexSize(size: number): number {
  return 4 + HEADER + ENTRY * Math.ceil(size / BLOCK);
}

/**
 * What says for each block of a file where it is to be found: the indexes that are not compacted, behind a header. Each
 * chunk begins with a block of the file.
 * @param before what stands before it, from the beginning of the inode
 */
export function packedIndex(
  chunks: readonly StoredChunk[],
  { size, chunkSize, algorithm }: Readonly<Record<'size' | 'chunkSize' | 'algorithm', number>>,
  before: number,
): Buffer {
  const header = Buffer.alloc((-before & 7) + HEADER);
  header.writeUInt16LE(LARGE, header.length - HEADER + 4);
  header.writeUInt8(algorithm, header.length - HEADER + 6);
  const entries = chunks.map((chunk, index) =>
    chunkEntries(chunk, Math.min(chunkSize, size - index * chunkSize)),
  );
  return Buffer.concat([header, ...entries]);
}

function chunkEntries({ start, blocks, isPacked }: StoredChunk, size: number): Buffer {
  const count = Math.ceil(size / BLOCK);
  const bytes = Buffer.alloc(count * ENTRY);
  const whole = Math.floor(size / BLOCK);
  for (let index = 0; index < count; index += 1) {
    const at = index * ENTRY;
    if (!isPacked) {
      bytes.writeUInt16LE(PLAIN, at);
      bytes.writeUInt32LE(start + index, at + 4);
    } else if (index === 0) {
      bytes.writeUInt16LE(HEAD, at);
      bytes.writeUInt32LE(start, at + 4);
    } else if (index < whole) {
      bytes.writeUInt16LE(OTHER, at);
      bytes.writeUInt16LE(index === 1 ? IS_COUNT | blocks : index, at + 4);
      bytes.writeUInt16LE(whole - index, at + 6);
    } else {
      // Where the file ends in a block, another chunk would begin there.
      bytes.writeUInt16LE(PLAIN, at);
      bytes.writeUInt16LE(size % BLOCK, at + 2);
    }
  }
  return bytes;
}
