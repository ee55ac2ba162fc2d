import { digestHex } from '@lkt/core';
import type { Image, RawPath, Store } from '@lkt/oci';
import { cacheFilePath, readCacheFile, writeCacheFile } from './cache-file.ts';
import { ImageEntries } from './image-entries.ts';
import { installedPackages, isPackageDatabase } from './package-databases.ts';
import { formatEntry, inspectLayers, type InspectedEntry, parseEntry } from './inspect-layer.ts';

/** Symbolic links that are in the place of a copyright file's directory or of one above it. */
const COPYRIGHT_LINK = /^usr(?:\/share(?:\/doc(?:\/[^/]+)?)?)?$/;

/**
 * Returns what an image contains that can tell its packages, as one layer: Go programs, kernels,
 * package databases, and the copyright files of their packages. Every build on the same base image
 * reads these entries, in place of thousands of others: they are kept beside the store
 * (`attestations/bases`).
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function baseEntries(
  store: Store,
  { descriptor, manifest: { layers } }: Image,
  signal: AbortSignal | undefined,
): Promise<readonly InspectedEntry[]> {
  const path = cacheFilePath(store, 'bases', digestHex(descriptor.digest));
  const known = readCacheFile(store, path);
  if (known !== undefined) return known.map(parseEntry);
  const lists = await inspectLayers(store, layers, signal);
  const image = await ImageEntries.flatten(store, layers, lists);
  const entries: InspectedEntry[] = [];
  const databases = new Map<RawPath, string>();
  for (const node of image.tree.walk()) {
    if (node.type === 'symlink' && COPYRIGHT_LINK.test(node.path)) entries.push(node);
    const file = image.fileAt(node);
    if (file === undefined) continue;
    const text = isPackageDatabase(node.path) ? await image.databaseAt(node) : undefined;
    if (text !== undefined) {
      databases.set(node.path, text);
      entries.push({ ...file, path: node.path, text });
    } else if ((file.go ?? file.kernel) !== undefined) {
      // A layer above may hide the first path of a program, and not a link to it.
      entries.push(node.type === 'hardlink' ? node : { ...file, path: node.path });
    }
  }
  installedPackages(databases, (name) => {
    const found = image.copyrightOf(name);
    if (found !== undefined) entries.push(found);
    return undefined;
  });
  await writeCacheFile(store, path, entries.map(formatEntry));
  return entries;
}
