import { type Digest, KeyedMutex } from '@lkt/core';
import { type Exchange, sendEmpty } from '../exchange.ts';
import { ApiError } from '../api-error.ts';
import type { Repository } from './names.ts';

/**
 * Deletions and pushes of manifests run one after another per store, so that no blob disappears
 * between the check for it and the tag of its manifest.
 */
export const changes: KeyedMutex = new KeyedMutex();

/**
 * Deletes a tag (distribution-spec, "Deleting tags").
 * @throws ApiError 404
 */
export async function deleteTag(
  exchange: Exchange,
  repository: Repository,
  tag: string,
): Promise<void> {
  const { store } = exchange;
  if (!(await store.untag(repository.tagReference(tag))))
    throw new ApiError(404, 'MANIFEST_UNKNOWN', 'tag not found');
  sendEmpty(exchange, 202);
}

/**
 * Deletes a manifest with its tags in the repository, or another blob (distribution-spec, "Deleting
 * Manifests", "Deleting Blobs"). All repositories share one store, so a blob that an image of
 * another name needs stays.
 * @throws ApiError 404; 409 if an image or another process needs the blob
 */
export async function deleteContent(
  exchange: Exchange,
  digest: Digest,
  owns: (reference: string) => boolean,
  unknown: 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN',
): Promise<void> {
  const { store } = exchange;
  const deletion = await changes.run(store.dir, async () => store.delete(digest, owns));
  const { outcome } = deletion;
  if (outcome === 'missing') throw new ApiError(404, unknown, 'not found');
  if (outcome === 'needed') throw new ApiError(409, 'DENIED', `${deletion.by} needs it`);
  if (outcome === 'in-use')
    throw new ApiError(409, 'DENIED', 'another process on the server uses it');
  sendEmpty(exchange, 202);
}
