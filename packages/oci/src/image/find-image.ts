import { LktError } from '@lkt/core';
import type { Store } from '../store/store.ts';
import type { Descriptor } from './descriptor.ts';
import { formatReference, parseReference, type Reference } from './reference.ts';

/** An image in a store, found by a reference. */
export interface StoreImage {
  readonly store: Store;
  /** Has a tag or a digest, not both. */
  readonly source: Reference;
  readonly descriptor: Descriptor;
}

/**
 * Finds a tagged image by its reference; without tag and digest, `latest`.
 * @param store undefined is an empty store
 * @throws NOT_FOUND, REFERENCE_INVALID
 */
export async function findImage(store: Store | undefined, text: string): Promise<StoreImage> {
  const { tag = 'latest', digest, ...repository } = parseReference(text);
  const source = digest === undefined ? { ...repository, tag } : { ...repository, digest };
  const found = ((await store?.tags()) ?? []).find(({ reference, descriptor }) =>
    digest === undefined
      ? reference === formatReference(source)
      : descriptor.digest === digest && isTagOf(reference, formatReference(repository)),
  );
  if (store === undefined || found === undefined) {
    throw new LktError('NOT_FOUND', `${text} is not in the store`, {
      fix: 'list the images: lkt cache ls',
    });
  }
  return { store, source, descriptor: found.descriptor };
}

function isTagOf(reference: string, name: string): boolean {
  return reference.startsWith(`${name}:`) || reference.startsWith(`${name}@`);
}
