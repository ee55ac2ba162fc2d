import type { Digest } from '@lkt/core';
import type { CallOptions } from '../provider.ts';

/** A prepared image at a provider, of any fleet, or a part of one. */
export interface KeptImage {
  /** The provider's name for it. */
  readonly id: string;
  readonly digest: Digest;
  /** When it was made, in milliseconds since 1970. */
  readonly created: number;
  /** A part that can be recreated: it stays only while something uses it. */
  readonly isRemade?: boolean;
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

/** Rules for images that a fleet keeps at its providers. */
export interface ImageSettings {
  /** Number of images to keep of those that nothing names, the newest first. */
  readonly keep: number;
  /** Younger images stay, in milliseconds. */
  readonly after: number;
}

/**
 * Returns the images that neither the file nor a node names, except those that the settings keep,
 * and parts of any image that are made again; the oldest first.
 */
export function unnamedImages(
  images: readonly KeptImage[],
  named: ReadonlySet<Digest>,
  { keep, after }: ImageSettings,
  now: number,
): readonly KeptImage[] {
  const sorted = images.toSorted((a, b) => b.created - a.created || (a.id < b.id ? -1 : 1));
  const others = sorted.filter(({ digest, isRemade }) => isRemade !== true && !named.has(digest));
  const kept = new Set([...named, ...[...new Set(others.map((one) => one.digest))].slice(0, keep)]);
  return sorted
    .filter(({ digest, isRemade }) => isRemade === true || !kept.has(digest))
    .filter(({ created }) => created < now - after)
    .toReversed();
}
