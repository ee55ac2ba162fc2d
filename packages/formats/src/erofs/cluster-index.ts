// fs/erofs/erofs_fs.h: z_erofs_lcluster_index, compact indexes
import { BLOCK_SIZE } from './inode.ts';

/** A stored part of a file's content. */
export interface StoredChunk {
  /** First block. */
  readonly start: number;
  /** Number of blocks. */
  readonly blocks: number;
  readonly isCompressed: boolean;
}

// Types of logical clusters: stored uncompressed, the first of a chunk, or a later one.
const PLAIN_CLUSTER = 0;
const HEAD_CLUSTER = 1;
const LATER_CLUSTER = 2;
/** Marks a count of compressed blocks, in the second entry of a chunk (Z_EROFS_LI_D0_CBLKCNT). */
const BLOCK_COUNT_FLAG = 0x800;
/** Chunks may take more than one block (Z_EROFS_ADVISE_BIG_PCLUSTER_1). */
const BIG_CHUNKS = 2;
const HEADER_SIZE = 16;
const ENTRY_SIZE = 8;

/** Returns the maximum length of `compressedIndex` for a content of `size` bytes. */
export function compressedIndexSize(size: number): number {
  return 4 + HEADER_SIZE + ENTRY_SIZE * Math.ceil(size / BLOCK_SIZE);
}

/**
 * Returns the index of a compressed file: a header and a non-compact entry for each logical cluster
 * (block) of the file. Each chunk begins at a cluster.
 * @param before the number of bytes before it, from the beginning of the inode
 */
export function compressedIndex(
  chunks: readonly StoredChunk[],
  { size, chunkSize, algorithm }: Readonly<Record<'size' | 'chunkSize' | 'algorithm', number>>,
  before: number,
): Buffer {
  const header = Buffer.alloc((-before & 7) + HEADER_SIZE);
  header.writeUInt16LE(BIG_CHUNKS, header.length - HEADER_SIZE + 4);
  header.writeUInt8(algorithm, header.length - HEADER_SIZE + 6);
  const entries = chunks.map((chunk, index) =>
    chunkEntries(chunk, Math.min(chunkSize, size - index * chunkSize)),
  );
  return Buffer.concat([header, ...entries]);
}

function chunkEntries({ start, blocks, isCompressed }: StoredChunk, size: number): Buffer {
  const count = Math.ceil(size / BLOCK_SIZE);
  const bytes = Buffer.alloc(count * ENTRY_SIZE);
  const whole = Math.floor(size / BLOCK_SIZE);
  for (let index = 0; index < count; index += 1) {
    const at = index * ENTRY_SIZE;
    if (!isCompressed) {
      bytes.writeUInt16LE(PLAIN_CLUSTER, at);
      bytes.writeUInt32LE(start + index, at + 4);
    } else if (index === 0) {
      bytes.writeUInt16LE(HEAD_CLUSTER, at);
      bytes.writeUInt32LE(start, at + 4);
    } else if (index < whole) {
      bytes.writeUInt16LE(LATER_CLUSTER, at);
      bytes.writeUInt16LE(index === 1 ? BLOCK_COUNT_FLAG | blocks : index, at + 4);
      bytes.writeUInt16LE(whole - index, at + 6);
    } else {
      // At the last, partial cluster of a file another chunk would begin.
      bytes.writeUInt16LE(PLAIN_CLUSTER, at);
      bytes.writeUInt16LE(size % BLOCK_SIZE, at + 2);
    }
  }
  return bytes;
}
