import { readdir } from 'node:fs/promises';
import { cacheFilePath, readCacheFile } from '@lkt/attest/cache-file';
import { type Digest, undefinedIf } from '@lkt/core';
import type { Descriptor, Store } from '@lkt/oci';
import type { PackageAttestations } from './attestations.ts';

/**
 * Returns the digests of the attestations that builds on this machine wrote. Any other document
 * beside an image came from a registry, and anyone with access there may have written it.
 */
export async function ownAttestations(store: Store): Promise<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  const records = readdir(cacheFilePath(store, 'records', ''));
  for (const name of (await records.catch(undefinedIf('ENOENT'))) ?? []) {
    const [line] = readCacheFile(store, cacheFilePath(store, 'records', name)) ?? [];
    if (line === undefined) continue;
    for (const { digest } of referrersOf(JSON.parse(line) as PackageAttestations))
      found.add(digest);
  }
  return found;
}

/** Returns the descriptors of all attestations of a package. */
export function referrersOf({ index, images }: PackageAttestations): readonly Descriptor[] {
  return [...images, index].flatMap(({ sbom, provenance }) => [sbom, provenance]);
}
