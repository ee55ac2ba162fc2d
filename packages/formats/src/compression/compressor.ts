// zstd: RFC 8878; gzip: RFC 1952; xz: xz-file-format.txt; lz4: lz4_Frame_format.md, "Legacy frame".
import { LktError } from '@lkt/core';
import { ENGINE_EPOCH, gzip, zstd } from '@lkt/oci';
import { padding } from '../cpio/cpio.ts';
import type { Compressor } from './compressors.ts';
import { lz4 } from './lz4.ts';
import { xz, xzVersion } from './xz.ts';

/** A compressor with all that its bytes depend on. */
export interface Compression {
  readonly compressor: Compressor;
  readonly level?: number;
  /** Names the compressor, its level and its version. */
  readonly key: string;
}

/** The levels that there are; zstd's ends where a compressor takes more memory than 200 MB. */
const LEVELS: Readonly<Record<Compressor, readonly [number, number] | undefined>> = {
  zstd: [1, 19],
  gzip: [1, 9],
  xz: [0, 9],
  lz4: undefined,
  none: undefined,
};

/**
 * Of a solid initrd, where no other is asked for; a level of xz is above all the memory that unpacking takes. The last of zstd
 * gives two thousandths less, for 33 MB more of memory.
 */
const MAX_LEVEL: Readonly<Partial<Record<Compressor, number>>> = { zstd: 18, gzip: 9 };

const DEFAULT_LEVEL: Readonly<Partial<Record<Compressor, number>>> = { zstd: 3, gzip: 4, xz: 6 };

/** @throws LktError USAGE_INVALID for a level that there is not; TOOL_MISSING where there is no xz */
export async function chooseCompression(
  compressor: Compressor,
  level?: number,
): Promise<Compression> {
  const range = LEVELS[compressor];
  if (level !== undefined && (range === undefined || level < range[0] || level > range[1])) {
    const has = range === undefined ? 'no levels' : `the levels ${range[0]} to ${range[1]}`;
    throw new LktError('USAGE_INVALID', `${compressor} has ${has}, not ${level}`);
  }
  const version = await versionOf(compressor);
  const isDefault = level === undefined || level === DEFAULT_LEVEL[compressor];
  const name = [compressor, ...version, ...(isDefault ? [] : [`level ${level}`])].join(' ');
  return {
    compressor,
    level: isDefault ? undefined : level,
    key: `${name} epoch ${ENGINE_EPOCH}`,
  };
}

/** The same at the level that gives the least, unless it is one that was asked for. */
export async function hardest(compression: Compression): Promise<Compression> {
  const { compressor, level } = compression;
  if (level !== undefined) return compression;
  return chooseCompression(compressor, MAX_LEVEL[compressor]);
}

/**
 * One frame or member for the whole source, because the kernel takes an archive from one only, with zero bytes up to a
 * multiple of four, where it looks for the next.
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
  yield padding(size);
}

type Pack = (source: AsyncIterable<Uint8Array>, level?: number) => AsyncIterable<Uint8Array>;

const PACK: Readonly<Record<Compressor, Pack>> = {
  zstd,
  gzip,
  xz: (source, level = 6) => xz(source, level),
  lz4: (source) => lz4(source),
  none: (source) => source,
};

/** gzip and lz4 give the same bytes everywhere. */
async function versionOf(compressor: Compressor): Promise<readonly string[]> {
  if (compressor === 'zstd') return [process.versions['zstd'] ?? ''];
  return compressor === 'xz' ? [await xzVersion()] : [];
}
