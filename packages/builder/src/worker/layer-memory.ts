import type { Layers } from '../layers/layers.ts';

/** What layers need unpacked, as a multiple of the compressed layers they start from, and beyond it. */
const GROWTH = 4;
const HEADROOM = 512 * 2 ** 20;

/** Bytes of memory that suffice for the layers of a build on these. */
export function memoryFor(images: Layers): number {
  const sizes = new Map(images.map(({ diffId, descriptor }) => [diffId, descriptor?.size ?? 0]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0) * GROWTH + HEADROOM;
}
