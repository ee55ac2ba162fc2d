import { zeros } from './headed-bytes.ts';

/** Bytes of a size that is known before they are, which can be read more than once. */
export interface Content {
  readonly size: number;
  bytes(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A piece of a disk that is not all zero. */
export interface Extent extends Content {
  readonly offset: number;
}

/** A disk by what is on it; between the extents, which are in order, there are zeros. */
export interface Disk {
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** A stretch of a disk with all extents that lie in it. */
export interface Run {
  readonly offset: number;
  readonly size: number;
  readonly extents: readonly Extent[];
}

export const SECTOR = 512;
export const MIB: number = 2 ** 20;

/** Content that is held in memory. */
export function inMemory(data: Uint8Array): Content {
  return { size: data.length, bytes: () => [data] };
}

/** The smallest multiple of `unit` that is not less than `size`. */
export function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}

/** The whole disk, zeros and all. */
export function rawBytes(disk: Disk): AsyncGenerator<Uint8Array> {
  return runBytes({ offset: 0, ...disk });
}

/** The stretches of a disk in which there is something, in units of `unit` bytes; the last may go beyond its end. */
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

/** The bytes of a stretch. */
export async function* runBytes({ offset, size, extents }: Run): AsyncGenerator<Uint8Array> {
  let at = offset;
  for (const extent of extents) {
    if (extent.offset < at) throw new Error('pieces of a disk overlap');
    yield* zeros(extent.offset - at);
    yield* exactBytes(extent);
    at = extent.offset + extent.size;
  }
  yield* zeros(offset + size - at);
}

/** The bytes of content, which are as many as it says. */
export async function* exactBytes(content: Content): AsyncGenerator<Uint8Array> {
  const { size } = content;
  let got = 0;
  for await (const chunk of content.bytes()) {
    got += chunk.length;
    yield chunk;
  }
  if (got !== size) throw new Error(`there are ${got} bytes where ${size} were announced`);
}

/** Bytes of a stream, in pieces of `size`; the last is filled up with zeros. A piece is good until the next is asked for. */
export async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(size);
  let used = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + size - used);
      piece.set(part, used);
      used += part.length;
      at += part.length;
      if (used < size) continue;
      yield piece;
      used = 0;
    }
  }
  if (used === 0) return;
  piece.fill(0, used);
  yield piece;
}
