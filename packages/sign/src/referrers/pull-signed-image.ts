import { LktError, mapConcurrent, type Reporter } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatReference,
  isIndexType,
  parseIndex,
  type Platform,
  platformMatches,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry, RegistryReader } from '@lkt/registry';
import { pullSignatures, type PullSignaturesOptions } from './pull-signatures.ts';

/** The lists of a subject are requested one after another; most are empty. */
const SUBJECTS_AT_ONCE = 4;

/** Options of `pullSignedImage`. */
export interface PullSignedImageOptions extends PullSignaturesOptions {
  /** The platforms to pull of an index; default: all. */
  readonly platforms: readonly Platform[] | undefined;
  readonly reporter: Reporter;
}

/**
 * Pulls an image into the store under its name, with its signatures and attestations. A failure to
 * pull these is a warning.
 */
export async function pullSignedImage(
  registry: Registry,
  store: Store,
  name: Reference,
  options: PullSignedImageOptions,
): Promise<Descriptor> {
  const { platforms, signal } = options;
  const descriptor = await registry.pullImage(store, name, { platforms, signal });
  await store.tag(formatReference(name), descriptor);
  await pullImageSignatures(registry, store, name, descriptor, options);
  return descriptor;
}

/**
 * Pulls signatures and attestations from the registry of an image or a mirror into the store: those
 * of the index and of its pulled images.
 */
async function pullImageSignatures(
  registry: Registry,
  store: Store,
  { domain, path }: Reference,
  descriptor: Descriptor,
  options: PullSignedImageOptions,
): Promise<void> {
  const { platforms, signal } = options;
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
    await mapConcurrent(
      [descriptor, ...pulled],
      async (subject) => pullSignatures(reader, store, { domain, path }, subject, options),
      { concurrency: SUBJECTS_AT_ONCE, signal },
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof LktError)) throw error;
    const text = `cannot pull the signatures of ${familiarReference({ domain, path })}: ${error.message}`;
    options.reporter.emit({ kind: 'warning', text });
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
