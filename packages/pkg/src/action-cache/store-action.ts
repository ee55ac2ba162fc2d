import { LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { CachedAction } from './find-action.ts';

/** Writes an entry of the action cache. Does nothing if the store is not writable. */
export async function storeAction(
  store: Store,
  path: string,
  action: CachedAction<unknown>,
): Promise<void> {
  try {
    await store.putFile(path, JSON.stringify(action));
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
  }
}
