import { join } from 'node:path';
import { type Digest, isDigest } from '@lkt/core';
import { type CacheArea, directoryArea, fileArea } from '@lkt/oci';
import { namesIn } from '@lkt/oci/files';

/** The cache areas that engines keep in a store beside its blobs. */
export const buildCacheAreas: readonly CacheArea[] = [
  fileArea('steps', 'steps', blobsOfStep),
  byOwner('layers', 'layers', true),
  byOwner('mounts', 'mounts', false),
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

/** @throws SyntaxError */
function blobsOfStep(content: string): readonly Digest[] {
  const { value } = JSON.parse(content) as { value?: { descriptor?: { digest?: unknown } | null } };
  const digest = value?.descriptor?.digest;
  return typeof digest === 'string' && isDigest(digest) ? [digest] : [];
}
