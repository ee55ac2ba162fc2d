import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { cacheFilePath, readCacheFile } from '@lkt/attest/cache-file';
import { type Digest, undefinedIf } from '@lkt/core';
import type { Descriptor, Store } from '@lkt/oci';
import { type FileState, fileState, isSettled } from '@lkt/oci/files';
import type { PackageAttestations } from './attestations.ts';

/** The digests that the records of a store last had, and the state of their directory then. */
const lastRead = new WeakMap<
  Store,
  { readonly state: FileState; readonly digests: ReadonlySet<Digest> }
>();

/**
 * Returns the digests of the attestations that builds on this machine wrote. Any other document
 * beside an image came from a registry, and anyone with access there may have written it.
 *
 * Reads the records once for as long as none is added, replaced or removed: a build asks for each
 * of its images.
 */
export async function ownAttestations(store: Store): Promise<ReadonlySet<Digest>> {
  const dir = cacheFilePath(store, 'records', '');
  const stats = statSync(dir, { bigint: true, throwIfNoEntry: false });
  const state = stats && fileState(stats);
  const last = lastRead.get(store);
  if (last !== undefined && last.state === state) return last.digests;
  const digests = await readRecords(store, dir);
  if (stats !== undefined && state !== undefined && isSettled(stats))
    lastRead.set(store, { state, digests });
  return digests;
}

async function readRecords(store: Store, dir: string): Promise<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  for (const name of (await readdir(dir).catch(undefinedIf('ENOENT'))) ?? []) {
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
