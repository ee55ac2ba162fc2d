import {
  constants,
  deflate,
  deflateSync,
  zstdCompress,
  zstdCompressSync,
  type ZstdOptions,
} from 'node:zlib';
import { promisify } from 'node:util';
import type { Compression } from '../compression/compressor.ts';
import { lz4Bytes } from '../compression/lz4.ts';

/** How the blocks of a squashfs are packed. */
export interface BlockCompressor {
  /** As the superblock calls it. */
  readonly id: number;
  /** What stands behind the superblock, if something has to. */
  readonly options?: Buffer;
  /** Undefined: nothing is packed. */
  readonly pack?: {
    readonly now: (block: Uint8Array) => Uint8Array;
    readonly soon: (block: Uint8Array) => Promise<Uint8Array>;
  };
}

const soonDeflate = promisify<Uint8Array, { level: number }, Buffer>(deflate);
const soonZstd = promisify<Uint8Array, ZstdOptions, Buffer>(zstdCompress);

/** @returns undefined for a compressor of which squashfs has none here */
export function blockCompressor({ compressor, level }: Compression): BlockCompressor | undefined {
  if (compressor === 'zstd') {
    // The kernel has room for a window of a block. It is as long as what is packed if that is said before.
    const optionsFor = ({ length }: Uint8Array): ZstdOptions => ({
      params: { [constants.ZSTD_c_compressionLevel]: level ?? 3 },
      pledgedSrcSize: length,
    });
    return {
      id: 6,
      pack: {
        now: (block) => zstdCompressSync(block, optionsFor(block)),
        soon: async (block) => soonZstd(block, optionsFor(block)),
      },
    };
  }
  if (compressor === 'gzip') {
    const options = { level: level ?? 6 };
    return {
      id: 1,
      pack: {
        now: (block) => deflateSync(block, options),
        soon: async (block) => soonDeflate(block, options),
      },
    };
  }
  if (compressor === 'lz4') {
    // The version of the format, and no flags.
    const options = Buffer.alloc(8);
    options.writeUInt32LE(1);
    const pack = { now: lz4Bytes, soon: (block: Uint8Array) => Promise.resolve(lz4Bytes(block)) };
    return { id: 5, options, pack };
  }
  return compressor === 'none' ? { id: 1 } : undefined;
}
