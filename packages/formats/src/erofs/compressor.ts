import { constants, deflateRaw, type ZlibOptions, zstdCompress, type ZstdOptions } from 'node:zlib';
import { promisify } from 'node:util';
import type { Compression } from '../compression/compressor.ts';
import { lz4Bytes } from '../compression/lz4.ts';
import { BLOCK, CHUNK } from './inode.ts';

/** How the contents of an erofs are packed. */
export interface ErofsCompressor {
  /** As the format calls it; undefined: nothing is packed. */
  readonly packing?: {
    readonly algorithm: number;
    /** What the superblock says of it. */
    readonly options: Buffer;
    readonly pack: (block: Uint8Array) => Promise<Uint8Array>;
  };
}

const soonDeflate = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);
const soonZstd = promisify<Uint8Array, ZstdOptions, Buffer>(zstdCompress);

function soonLz4(block: Uint8Array): Promise<Uint8Array> {
  return Promise.resolve(lz4Bytes(block));
}

/** @returns undefined for a compressor of which erofs has none here */
export function erofsCompressor({ compressor, level }: Compression): ErofsCompressor | undefined {
  if (compressor === 'none') return {};
  if (compressor === 'lz4') {
    // How far back a match may be: as far as the format of blocks can say; and how many blocks are read at once.
    const options = Buffer.alloc(14);
    options.writeUInt16LE(0xffff, 0);
    options.writeUInt16LE(CHUNK / BLOCK, 2);
    return { packing: { algorithm: 0, options, pack: soonLz4 } };
  }
  if (compressor === 'gzip') {
    const options = Buffer.of(constants.Z_MAX_WINDOWBITS, 0, 0, 0, 0, 0);
    const pack = async (block: Uint8Array): Promise<Uint8Array> =>
      soonDeflate(block, { level: level ?? 6 });
    return { packing: { algorithm: 2, options, pack } };
  }
  if (compressor === 'zstd') {
    const options = Buffer.of(0, Math.log2(CHUNK) - 10, 0, 0, 0, 0);
    // The window is as long as what is packed if that is said before.
    const pack = async (block: Uint8Array): Promise<Uint8Array> =>
      soonZstd(block, {
        params: { [constants.ZSTD_c_compressionLevel]: level ?? 3 },
        pledgedSrcSize: block.length,
      });
    return { packing: { algorithm: 3, options, pack } };
  }
  return undefined;
}
