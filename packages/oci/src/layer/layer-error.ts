import { LktError, withPrefix } from '@lkt/core';
import type { Descriptor } from '../image/descriptor.ts';
import type { Store } from '../store/store.ts';

/**
 * Returns the error to report for a layer that could not be unpacked. A damaged blob usually fails
 * in its reader before its digest is checked at the end, so this verifies the blob and returns that
 * error first.
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
  return withPrefix(error, `layer ${layer.digest}: `);
}
