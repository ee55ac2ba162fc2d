import { basename, dirname, join } from 'node:path';
import { type Digest, isDigest } from '@lkt/core';
import { adoptable, type CacheArea, directoryArea, fileArea, type Store } from '@lkt/oci';
import { namesIn } from '@lkt/oci/files';

/** The cache areas that engines keep in a store beside its blobs. */
export const buildCacheAreas: readonly CacheArea[] = [
  fileArea('steps', 'steps', { ...adoptable, blobsOf: blobsOfStep }),
  { ...byOwner('layers', 'layers', true), isIntact },
  byOwner('mounts', 'mounts', false),
  // From earlier versions, and only cleaned up.
  directoryArea('compiled', 'compiled', false),
];

/** An area with a directory per owner, each with a directory per item. */
function byOwner(name: string, directory: string, isFixed: boolean): CacheArea {
  return {
    name,
    list: (store, sizes) =>
      namesIn(join(store, directory)).flatMap((owner) =>
        directoryArea(name, join(directory, owner), isFixed).list(store, sizes),
      ),
  };
}

/** Root sees only its own layers as they are: those of a user namespace have other owners. */
async function isIntact(path: string, store: Store): Promise<boolean | undefined> {
  const layer = `sha256:${basename(path)}`;
  const isOwn = process.geteuid?.() === 0 && basename(dirname(path)) === '0';
  if (!isOwn || !isDigest(layer)) return undefined;
  // Loads native code.
  const { isIntactLayer } = await import('./layers/intact-layer.ts');
  return isIntactLayer(path, layer, store);
}

/** @throws SyntaxError */
function blobsOfStep(content: string): readonly Digest[] {
  const { value } = JSON.parse(content) as { value?: { descriptor?: { digest?: unknown } | null } };
  const digest = value?.descriptor?.digest;
  return typeof digest === 'string' && isDigest(digest) ? [digest] : [];
}
