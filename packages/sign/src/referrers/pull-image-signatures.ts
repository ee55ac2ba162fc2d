import { LktError, type Reporter } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  isIndexType,
  parseIndex,
  type Platform,
  platformMatches,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry, RegistryReader } from '@lkt/registry';
import { pullSignatures } from './pull-signatures.ts';

/** A pulled image; `platforms` are those that were pulled, default all. */
export interface PulledImage {
  readonly name: Reference;
  readonly descriptor: Descriptor;
  readonly platforms?: readonly Platform[] | undefined;
}

/** Options of `pullImageSignatures`. */
export interface PullImageSignaturesOptions {
  /** Also pull unsigned referrers; default: false. */
  readonly documents?: boolean;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Pulls signatures and attestations of an image from its registry or a mirror into the store: those
 * of the index and of its pulled images. A failure is a warning.
 */
export async function pullImageSignatures(
  registry: Registry,
  store: Store,
  { name: { domain, path }, descriptor, platforms }: PulledImage,
  { documents = false, reporter, signal }: PullImageSignaturesOptions,
): Promise<void> {
  const images = isIndexType(descriptor.mediaType)
    ? parseIndex(await store.readBytes(descriptor)).manifests
    : [];
  const pulled = images.filter(
    ({ platform }) =>
      platforms === undefined ||
      (platform !== undefined && platforms.some((wanted) => platformMatches(platform, wanted))),
  );
  try {
    const reader = await readerOf(registry, { domain, path, digest: descriptor.digest }, signal);
    for (const subject of [descriptor, ...pulled])
      await pullSignatures(reader, store, { domain, path }, subject, { documents, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof LktError)) throw error;
    const text = `cannot pull the signatures of ${familiarReference({ domain, path })}: ${error.message}`;
    reporter.emit({ kind: 'warning', text });
  }
}

/** Returns the first mirror that has the image, else the registry. */
async function readerOf(
  registry: Registry,
  image: Reference,
  signal: AbortSignal | undefined,
): Promise<RegistryReader> {
  for (const mirror of registry.mirrors(image.domain)) {
    try {
      await mirror.resolve(image, signal);
      return mirror;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
    }
  }
  return registry;
}
