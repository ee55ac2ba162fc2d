import { basename, dirname, join } from 'node:path';
import { type Digest, isDigest } from '@lkt/core';
import {
  adoptable,
  type CacheArea,
  directoryArea,
  fileArea,
  findLayer,
  type Store,
} from '@lkt/oci';
import { namesIn } from '@lkt/oci/files';

/** The cache areas that engines keep in a store beside its blobs. */
export const buildCacheAreas: readonly CacheArea[] = [
  fileArea('steps', 'steps', { ...adoptable, blobsOf: blobsOfStep }),
  { ...byOwner('layers', 'layers', true), isIntact: isIntactLayer },
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
async function isIntactLayer(path: string, store: Store): Promise<boolean | undefined> {
  const layer = `sha256:${basename(path)}`;
  const isOwn = process.geteuid?.() === 0 && basename(dirname(path)) === '0';
  if (!isOwn || !isDigest(layer)) return undefined;
  // Loads native code.
  const { isSameLayer, isWholeLayer } = await import('./layers/layer-hash.ts');
  if (await isWholeLayer(path, layer)) return true;
  // Other programs write archives in other forms, so their directories have other digests.
  const found = await findLayer(store, layer);
  if (found !== undefined) return isSameLayer(path, found, store);
  return isOfStep(store, layer) ? false : undefined;
}

/** Reports whether lkt made a layer, so that its archive is in the form of lkt. */
function isOfStep(store: Store, layer: Digest): boolean {
  const steps = join(store.dir, 'steps');
  return namesIn(steps).some(
    (name) => store.sealed.read(join(steps, name))?.includes(layer) === true,
  );
}

/** @throws SyntaxError */
function blobsOfStep(content: string): readonly Digest[] {
  const { value } = JSON.parse(content) as { value?: { descriptor?: { digest?: unknown } | null } };
  const digest = value?.descriptor?.digest;
  return typeof digest === 'string' && isDigest(digest) ? [digest] : [];
}
