import { deflate, deflateSync, zstdCompress, zstdCompressSync, type ZstdOptions } from 'node:zlib';
import { promisify } from 'node:util';
import { packer } from '../bytes/pack.ts';
import { type Compression, zstdOptions } from '../compression/compressor.ts';
import { lz4Bytes } from '../compression/lz4.ts';

/** The compression of blocks in a squashfs. */
export interface BlockCompressor {
  /** Compression id in the superblock. */
  readonly id: number;
  /** Compression options after the superblock, if required. */
  readonly options?: Buffer;
  /** undefined: blocks are stored uncompressed. */
  readonly compress?: {
    readonly sync: (block: Uint8Array) => Uint8Array;
    readonly async: (block: Uint8Array) => Promise<Uint8Array>;
  };
}

const deflateAsync = promisify<Uint8Array, { level: number }, Buffer>(deflate);
const zstdAsync = promisify<Uint8Array, ZstdOptions, Buffer>(zstdCompress);

/** Returns the squashfs compressor; undefined if squashfs does not support it here. */
export function blockCompressor({ compressor, level }: Compression): BlockCompressor | undefined {
  if (compressor === 'zstd')
    return {
      id: 6,
      compress: {
        sync: (block) => zstdCompressSync(block, zstdOptions(block, level)),
        async: async (block) => zstdAsync(block, zstdOptions(block, level)),
      },
    };
  if (compressor === 'gzip') {
    const options = { level: level ?? 6 };
    return {
      id: 1,
      compress: {
        sync: (block) => deflateSync(block, options),
        async: async (block) => deflateAsync(block, options),
      },
    };
  }
  if (compressor === 'lz4') {
    // The version of the format, and no flags.
    const options = packer('<II')(1, 0);
    const compress = { sync: lz4Bytes, async: async (block: Uint8Array) => lz4Bytes(block) };
    return { id: 5, options, compress };
  }
  return compressor === 'none' ? { id: 1 } : undefined;
}
