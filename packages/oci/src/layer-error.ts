import { LktError } from '@lkt/core';
import type { Descriptor } from './descriptor.ts';
import type { Store } from './store.ts';

/**
 * What to say when a layer could not be unpacked. Damage on disk shows first in whatever reads the blob, long before
 * its end, where its digest is compared: so that is done now, and blamed if it is wrong.
 */
export async function explainLayerError(
  store: Store,
  layer: Descriptor,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof LktError)) return error;
  if (error.code !== 'ARCHIVE_INVALID' && error.code !== 'UNSUPPORTED') return error;
  try {
    const blob = store.read(layer)[Symbol.asyncIterator]();
    while ((await blob.next()).done !== true);
  } catch (problem) {
    return problem;
  }
  return new LktError(error.code, `layer ${layer.digest}: ${error.message}`, { cause: error });
}
