import { zeros } from './headed-bytes.ts';

/** Bytes of known size that can be read more than once. */
export interface Content {
  readonly size: number;
  bytes(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A range of a disk with data. */
export interface Extent extends Content {
  readonly offset: number;
}

/** A disk as a list of extents, ascending, with zeros between them. */
export interface Disk {
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** A range of a disk with all extents in it. */
export interface Run {
  readonly offset: number;
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** Sector size of a disk. */
export const SECTOR_SIZE = 512;
/** Bytes of a MiB. */
export const MIB: number = 2 ** 20;

/** Returns content that is held in memory. */
export function inMemory(data: Uint8Array): Content {
  return { size: data.length, bytes: () => [data] };
}

/** Returns the smallest multiple of `unit` that is not less than `size`. */
export function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}

/** Streams the whole disk, including zeros. */
export function rawBytes(disk: Disk): AsyncGenerator<Uint8Array> {
  return runBytes({ offset: 0, ...disk });
}

/**
 * Returns the ranges of a disk with data, in multiples of `unit` bytes; the last may end after the
 * disk.
 */
export function runsOf({ extents }: Disk, unit: number): readonly Run[] {
  const runs: { offset: number; size: number; extents: Extent[] }[] = [];
  for (const extent of extents) {
    if (extent.size === 0) continue;
    const start = Math.floor(extent.offset / unit) * unit;
    const end = roundUp(extent.offset + extent.size, unit);
    const last = runs.at(-1);
    if (last === undefined || last.offset + last.size < start) {
      runs.push({ offset: start, size: end - start, extents: [extent] });
    } else {
      last.size = Math.max(last.size, end - last.offset);
      last.extents.push(extent);
    }
  }
  return runs;
}

/** Streams the bytes of a range. */
export async function* runBytes({ offset, size, extents }: Run): AsyncGenerator<Uint8Array> {
  let at = offset;
  for (const extent of extents) {
    if (extent.offset < at) throw new Error('extents of a disk overlap');
    yield* zeros(extent.offset - at);
    yield* exactBytes(extent);
    at = extent.offset + extent.size;
  }
  yield* zeros(offset + size - at);
}

/** Streams content, and checks that it has the announced size. */
export async function* exactBytes(content: Content): AsyncGenerator<Uint8Array> {
  const { size } = content;
  let got = 0;
  for await (const chunk of content.bytes()) {
    got += chunk.length;
    yield chunk;
  }
  if (got !== size) throw new Error(`there are ${got} bytes where ${size} were announced`);
}
