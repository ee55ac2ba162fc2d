import { LktError } from '@lkt/core';
import type { Descriptor, Reference, Store } from '@lkt/oci';
import type { Session } from './session.ts';

/** An image that the store has by this name. */
export interface StoreImage {
  readonly store: Store;
  /** With a tag or a digest, not both. */
  readonly source: Reference;
  readonly descriptor: Descriptor;
}

/**
 * What the user means by a reference to something in the store; without tag and digest it is `latest`.
 * @throws LktError NOT_FOUND, REFERENCE_INVALID
 */
export async function imageInStore(session: Session, text: string): Promise<StoreImage> {
  const { formatReference, parseReference } = await import('@lkt/oci');
  const { domain, path, tag = 'latest', digest } = parseReference(text);
  const source = digest === undefined ? { domain, path, tag } : { domain, path, digest };
  const store = await session.findStore();
  const found = ((await store?.tags()) ?? []).find(({ reference, descriptor }) =>
    digest === undefined
      ? reference === formatReference(source)
      : descriptor.digest === digest && isTagOf(reference, formatReference({ domain, path })),
  );
  if (store === undefined || found === undefined) {
    throw new LktError('NOT_FOUND', `${text} is not in the store`, {
      fix: 'see what is: lkt cache ls',
    });
  }
  return { store, source, descriptor: found.descriptor };
}

function isTagOf(reference: string, name: string): boolean {
  return reference.startsWith(`${name}:`) || reference.startsWith(`${name}@`);
}
