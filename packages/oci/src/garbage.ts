import { rm } from 'node:fs/promises';
import { type Digest, LktError } from '@lkt/core';
import type { Blobs } from './blobs.ts';
import type { Descriptor } from './descriptor.ts';
import type { LayoutIndex } from './layout-index.ts';
import { type ImageIndex, type ImageManifest, isIndex, parseManifestOrIndex } from './manifest.ts';
import { isIndexType, isManifestType } from './media-type.ts';

const MAX_MANIFEST = 4 * 2 ** 20;

/** Removes the blobs of `all` that nothing in the index leads to. */
export async function collectGarbage(
  blobs: Blobs,
  all: readonly Digest[],
  index: LayoutIndex,
): Promise<{ removed: number; bytes: number }> {
  const reachable = new Set<Digest>();
  for (const { descriptor } of index.entries) await mark(blobs, descriptor, reachable);
  let removed = 0;
  let bytes = 0;
  for (const digest of all) {
    if (reachable.has(digest)) continue;
    bytes += (await blobs.size(digest)) ?? 0;
    await rm(blobs.path(digest), { force: true });
    removed += 1;
  }
  return { removed, bytes };
}

function parsed(digest: Digest, bytes: Buffer): ImageManifest | ImageIndex {
  try {
    return parseManifestOrIndex(bytes);
  } catch (cause) {
    if (!(cause instanceof LktError)) throw cause;
    throw new LktError(
      cause.code,
      `cannot tell what is garbage: ${digest}, which has a name, is ${cause.message}`,
      { cause },
    );
  }
}

async function mark(blobs: Blobs, descriptor: Descriptor, reachable: Set<Digest>): Promise<void> {
  if (reachable.has(descriptor.digest)) return;
  reachable.add(descriptor.digest);
  if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return;
  // A layout may hold a part of an image only: an index whose other platforms were never fetched.
  const bytes = await blobs.readBytes(descriptor, MAX_MANIFEST).catch((error: unknown) => {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (bytes === undefined) return;
  const document = parsed(descriptor.digest, bytes);
  const next = isIndex(document) ? document.manifests : [document.config, ...document.layers];
  for (const item of next) await mark(blobs, item, reachable);
}
