import { rm } from 'node:fs/promises';
import { type Digest, LktError } from '@lkt/core';
import type { Blobs } from './blobs.ts';
import type { Descriptor } from '../image/descriptor.ts';
import type { IndexEntry, LayoutIndex } from './layout-index.ts';
import { isIndex, parseManifestOrIndex } from '../image/manifest.ts';
import { isIndexType, isManifestType } from '../image/media-type.ts';
import { readReferrer } from '../image/referrers.ts';

const MAX_MANIFEST = 4 * 2 ** 20;

/**
 * Returns the blobs reachable from the index, and the index entries to keep: all except referrers
 * whose subject is unreachable.
 */
export async function findReachable(
  blobs: Blobs,
  index: LayoutIndex,
): Promise<{ reachable: ReadonlySet<Digest>; entries: LayoutIndex['entries'] }> {
  const reachable = new Set<Digest>();
  const waiting = new Map<IndexEntry, Digest>();
  for (const entry of index.entries) {
    const { descriptor } = entry;
    const subject =
      entry.reference === undefined
        ? (await withDigestInError(descriptor.digest, readReferrer(blobs, descriptor)))?.subject
        : undefined;
    if (subject === undefined) await mark(blobs, descriptor, reachable);
    else waiting.set(entry, subject.digest);
  }
  // A signature of an SBOM refers to a referrer, so repeat until no entry is added.
  for (let before = -1; before !== waiting.size;) {
    before = waiting.size;
    for (const [entry, subject] of waiting) {
      if (!reachable.has(subject)) continue;
      waiting.delete(entry);
      await mark(blobs, entry.descriptor, reachable);
    }
  }
  return { reachable, entries: index.entries.filter((entry) => !waiting.has(entry)) };
}

/**
 * Removes the blobs of `all` that are not in `kept`.
 * @returns the number of removed blobs and their total bytes
 */
export async function removeOthers(
  blobs: Blobs,
  all: readonly Digest[],
  kept: ReadonlySet<Digest>,
): Promise<{ removed: number; bytes: number }> {
  let removed = 0;
  let bytes = 0;
  for (const digest of all) {
    if (kept.has(digest)) continue;
    bytes += (await blobs.size(digest)) ?? 0;
    await rm(blobs.path(digest), { force: true });
    removed += 1;
  }
  return { removed, bytes };
}

async function withDigestInError<T>(digest: Digest, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof LktError) || cause.code !== 'IMAGE_INVALID') throw cause;
    throw new LktError(
      cause.code,
      `cannot collect garbage: ${digest} in the index of the store is ${cause.message}`,
      { cause },
    );
  }
}

async function mark(blobs: Blobs, descriptor: Descriptor, reachable: Set<Digest>): Promise<void> {
  if (reachable.has(descriptor.digest)) return;
  reachable.add(descriptor.digest);
  if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return;
  // A layout may hold only a part of an index: its other platforms were never fetched.
  const bytes = await blobs.readBytes(descriptor, MAX_MANIFEST).catch((error: unknown) => {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (bytes === undefined) return;
  const document = await withDigestInError(
    descriptor.digest,
    Promise.resolve(bytes).then(parseManifestOrIndex),
  );
  const next = isIndex(document) ? document.manifests : [document.config, ...document.layers];
  for (const item of next) await mark(blobs, item, reachable);
}
