import { setTimeout as delay } from 'node:timers/promises';
import { canonicalJson, digestOf, LktError } from '@lkt/core';
import { type ImageIndex, MediaType } from '@lkt/oci';
import { getManifest, type Manifest, putManifest, type TaggedManifest } from './manifests.ts';
import type { Remote } from './remote.ts';

/** Attempts to change a tag that other processes may change too. */
export const MAX_CHANGE_ATTEMPTS = 10;

/**
 * Replaces the manifest of a tag until no concurrent change is lost. The PUT is conditional; since
 * few registries check the condition, the tag is read again.
 * @param change returns the new manifest for the present one; undefined to keep it
 * @throws NETWORK_FAILED if other processes keep changing the tag
 */
export async function changeTag(
  remote: Remote,
  tag: string,
  change: (present: TaggedManifest | undefined) => Promise<Manifest | undefined>,
): Promise<void> {
  const { signal } = remote;
  for (let attempt = 0; attempt < MAX_CHANGE_ATTEMPTS; attempt += 1) {
    const present = await getManifest(remote, { tag });
    const wanted = await change(present);
    if (wanted === undefined || wanted.descriptor.digest === present?.descriptor.digest) return;
    await putManifest(remote, { tag }, wanted, conditionFor(present));
    await delay(20 + Math.random() * 30 * (attempt + 1), undefined, { signal });
  }
  throw changedByOthers(remote.nameOf({ tag }));
}

/** Returns the headers of a PUT that fails if another process has replaced the present manifest. */
export function conditionFor(present: TaggedManifest | undefined): Record<string, string> {
  if (present === undefined) return { 'if-none-match': '*' };
  return present.etag === undefined ? {} : { 'if-match': present.etag };
}

/** Returns the error for a tag that other processes keep changing. */
export function changedByOthers(what: string): LktError {
  return new LktError('NETWORK_FAILED', `${what} is being changed by other processes`, {
    fix: 'try again later',
  });
}

/** Returns an index in canonical form. */
export function newIndex({
  manifests,
  annotations,
}: Pick<ImageIndex, 'annotations' | 'manifests'>): Manifest {
  const mediaType = MediaType.ociIndex;
  const index: ImageIndex = { schemaVersion: 2, mediaType, manifests, annotations };
  const bytes = Buffer.from(canonicalJson(index));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}
