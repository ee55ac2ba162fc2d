import { constants, deflateRaw, type ZlibOptions, zstdCompress, type ZstdOptions } from 'node:zlib';
import { promisify } from 'node:util';
import { packer } from '../bytes/pack.ts';
import { type Compression, zstdOptions } from '../compression/compressor.ts';
import { lz4Bytes } from '../compression/lz4.ts';
import { BLOCK_SIZE, CHUNK_SIZE } from './inode.ts';

/** The compression of file contents in an erofs. */
export interface ErofsCompressor {
  /** undefined: contents are stored uncompressed. `algorithm` is Z_EROFS_COMPRESSION_…. */
  readonly compression?: {
    readonly algorithm: number;
    /** The compression configuration after the superblock. */
    readonly options: Buffer;
    readonly compress: (block: Uint8Array) => Promise<Uint8Array>;
  };
}

const deflateAsync = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);
const zstdAsync = promisify<Uint8Array, ZstdOptions, Buffer>(zstdCompress);

/** Returns the erofs compressor; undefined if erofs does not support it here. */
export function erofsCompressor({ compressor, level }: Compression): ErofsCompressor | undefined {
  if (compressor === 'none') return {};
  if (compressor === 'lz4') {
    // Maximum match distance: the limit of the block format; and the maximum number of blocks per
    // chunk.
    const options = packer('<HH10x')(0xffff, CHUNK_SIZE / BLOCK_SIZE);
    return { compression: { algorithm: 0, options, compress: async (block) => lz4Bytes(block) } };
  }
  if (compressor === 'gzip') {
    const options = Buffer.of(constants.Z_MAX_WINDOWBITS, 0, 0, 0, 0, 0);
    const compress = async (block: Uint8Array): Promise<Uint8Array> =>
      deflateAsync(block, { level: level ?? 6 });
    return { compression: { algorithm: 2, options, compress } };
  }
  if (compressor === 'zstd') {
    const options = Buffer.of(0, Math.log2(CHUNK_SIZE) - 10, 0, 0, 0, 0);
    const compress = async (block: Uint8Array): Promise<Uint8Array> =>
      zstdAsync(block, zstdOptions(block, level));
    return { compression: { algorithm: 3, options, compress } };
  }
  return undefined;
}
