import type { Digest } from '@lkt/core';
import type { CallOptions } from '../provider.ts';

/** An image that a provider keeps since it was prepared, by any fleet, or a part of such. */
export interface KeptImage {
  /** The provider's name for it. */
  readonly id: string;
  readonly digest: Digest;
  /** When it was made, in milliseconds since 1970. */
  readonly created: number;
}

/** The images that a provider keeps. */
export interface ImageKeeper {
  /** Returns all images of lkt at the provider, of every fleet. */
  list(options: { readonly signal: AbortSignal }): Promise<readonly KeptImage[]>;
  /** Reports whether a machine, or what makes machines, of any fleet uses an image. */
  isUsed(image: KeptImage, options: { readonly signal: AbortSignal }): Promise<boolean>;
  /**
   * Removes an image; one that is gone counts as success. A machine that is created from it at the
   * same time fails, and its controller prepares the image again.
   */
  remove(image: KeptImage, options: CallOptions): Promise<void>;
}

/** Which images a fleet leaves at its providers. */
export interface ImageSettings {
  /** Number of images to keep of those that nothing names, the newest first. */
  readonly keep: number;
  /** Younger images stay, in milliseconds. */
  readonly after: number;
}

/**
 * Returns the images that neither the file nor a node names, except those that the settings keep;
 * the oldest first.
 */
export function unnamedImages(
  images: readonly KeptImage[],
  named: ReadonlySet<Digest>,
  { keep, after }: ImageSettings,
  now: number,
): readonly KeptImage[] {
  const others = images
    .filter(({ digest }) => !named.has(digest))
    .toSorted((a, b) => b.created - a.created || (a.id < b.id ? -1 : 1));
  const kept = new Set([...new Set(others.map(({ digest }) => digest))].slice(0, keep));
  return others
    .filter(({ digest, created }) => !kept.has(digest) && created < now - after)
    .toReversed();
}
