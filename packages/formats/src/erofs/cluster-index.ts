// fs/erofs/erofs_fs.h: z_erofs_lcluster_index, compact indexes
import { packer } from '../bytes/pack.ts';
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
const indexHeader = packer('<4xHB9x');
const clusterEntry = packer('<HHI');
const laterEntry = packer('<H2xHH');
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
  const header = indexHeader(BIG_CHUNKS, algorithm);
  const entries = chunks.map((chunk, index) =>
    chunkEntries(chunk, Math.min(chunkSize, size - index * chunkSize)),
  );
  return Buffer.concat([Buffer.alloc(-before & 7), header, ...entries]);
}

function chunkEntries({ start, blocks, isCompressed }: StoredChunk, size: number): Buffer {
  const whole = Math.floor(size / BLOCK_SIZE);
  const entries = Array.from({ length: Math.ceil(size / BLOCK_SIZE) }, (_, index) => {
    if (!isCompressed) return clusterEntry(PLAIN_CLUSTER, 0, start + index);
    if (index === 0) return clusterEntry(HEAD_CLUSTER, 0, start);
    // At the last, partial cluster of a file another chunk would begin.
    if (index === whole) return clusterEntry(PLAIN_CLUSTER, size % BLOCK_SIZE, 0);
    return laterEntry(
      LATER_CLUSTER,
      index === 1 ? BLOCK_COUNT_FLAG | blocks : index,
      whole - index,
    );
  });
  return Buffer.concat(entries);
}
