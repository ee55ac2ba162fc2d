import type { Layers } from '../layers/layers.ts';

/** Size of unpacked layers: a multiple of the compressed base layers, plus a constant. */
const GROWTH = 4;
const HEADROOM = 512 * 2 ** 20;

/** Returns the bytes of memory that suffice for the layers of a build on these images. */
export function memoryFor(images: Layers): number {
  const sizes = new Map(images.map(({ diffId, descriptor }) => [diffId, descriptor?.size ?? 0]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0) * GROWTH + HEADROOM;
}
