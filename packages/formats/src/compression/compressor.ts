// zstd: RFC 8878; gzip: RFC 1952; xz: xz-file-format.txt; lz4: lz4_Frame_format.md, "Legacy frame".
import { constants, type ZstdOptions } from 'node:zlib';
import { LktError } from '@lkt/core';
import { ENGINE_EPOCH, gzip, zstd } from '@lkt/oci';
import { cpioPadding } from '../cpio/cpio.ts';
import type { Compressor } from './compressors.ts';
import { lz4 } from './lz4.ts';
import { xz, xzVersion } from './xz.ts';

/** A compressor with everything its output depends on. */
export interface Compression {
  readonly compressor: Compressor;
  readonly level?: number;
  /** Identifies the compressor, its level and its version, for cache keys. */
  readonly key: string;
}

/** The supported levels. zstd ends where the compressor would need more than 200 MB of memory. */
const LEVELS: Readonly<Record<Compressor, readonly [number, number] | undefined>> = {
  zstd: [1, 19],
  gzip: [1, 9],
  xz: [0, 9],
  lz4: undefined,
  none: undefined,
};

/**
 * Default levels of a solid initrd. A higher xz level only increases the memory for decompression.
 * The highest zstd level saves 0.2 % for 33 MB more memory.
 */
const MAX_LEVEL: Readonly<Partial<Record<Compressor, number>>> = { zstd: 18, gzip: 9 };

const DEFAULT_LEVEL: Readonly<Partial<Record<Compressor, number>>> = { zstd: 3, gzip: 4, xz: 6 };

/**
 * Returns a compression with its cache key.
 * @throws USAGE_INVALID for a level that the compressor does not support
 * @throws TOOL_MISSING if xz is chosen and not installed
 * @example
 * ```ts
 * const compression = await chooseCompression('zstd', 19);
 * for await (const chunk of compress(compression, archive)) await file.write(chunk);
 * ```
 */
export async function chooseCompression(
  compressor: Compressor,
  level?: number,
): Promise<Compression> {
  const range = LEVELS[compressor];
  if (level !== undefined && (range === undefined || level < range[0] || level > range[1])) {
    const has =
      range === undefined ? 'no levels' : `levels ${range[0]} to ${range[1]}, not ${level}`;
    throw new LktError('USAGE_INVALID', `${compressor} has ${has}`);
  }
  const version = await versionOf(compressor);
  const isDefault = level === undefined || level === DEFAULT_LEVEL[compressor];
  const name = [compressor, ...version, ...(isDefault ? [] : [`level ${level}`])].join(' ');
  const key = `${name} epoch ${ENGINE_EPOCH}`;
  return { compressor, level: isDefault ? undefined : level, key };
}

/** Returns the compression at its strongest level, unless the caller has chosen a level. */
export async function withMaxLevel(compression: Compression): Promise<Compression> {
  const { compressor, level } = compression;
  if (level !== undefined) return compression;
  return chooseCompression(compressor, MAX_LEVEL[compressor]);
}

/**
 * Compresses the whole source as one frame or member, because the kernel reads an archive from only
 * one. Zero bytes pad it to a multiple of four, where the kernel looks for the next archive.
 */
export async function* compress(
  { compressor, level }: Compression,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of PACK[compressor](source, level)) {
    size += chunk.length;
    yield chunk;
  }
  yield cpioPadding(size);
}

type Pack = (source: AsyncIterable<Uint8Array>, level?: number) => AsyncIterable<Uint8Array>;

const PACK: Readonly<Record<Compressor, Pack>> = {
  zstd,
  gzip,
  xz: (source, level = 6) => xz(source, level),
  lz4: (source) => lz4(source),
  none: (source) => source,
};

/** gzip and lz4 produce the same bytes on every machine. */
async function versionOf(compressor: Compressor): Promise<readonly string[]> {
  if (compressor === 'zstd') return [process.versions['zstd'] ?? ''];
  return compressor === 'xz' ? [await xzVersion()] : [];
}

/**
 * Returns the zstd options for a block of a file system, which the kernel reads with a window of
 * one block: a pledged size limits the window to the length of the data.
 */
export function zstdOptions({ length }: Uint8Array, level = 3): ZstdOptions {
  return { params: { [constants.ZSTD_c_compressionLevel]: level }, pledgedSrcSize: length };
}
