import type { StoreImage } from '@lkt/oci';
import type { Session } from '../session/session.ts';

/** An image in the store, for `--json`. */
export interface ImageName {
  readonly reference: string;
  readonly digest: string;
}

/**
 * Finds the image that the user names by a reference; without tag and digest, `latest`.
 * @throws NOT_FOUND, REFERENCE_INVALID
 */
export async function imageInStore(session: Session, text: string): Promise<StoreImage> {
  const { findImage } = await import('@lkt/oci');
  return findImage(await session.findStore(), text);
}
