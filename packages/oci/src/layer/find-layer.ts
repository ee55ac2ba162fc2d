import { type Digest, isErrno } from '@lkt/core';
import { parseDescribed, parseImageConfig } from '../image/manifest.ts';
import { CONTENT_ERRORS } from '../store/content-errors.ts';
import type { Store } from '../store/store.ts';
import type { Layer } from './layer.ts';

/**
 * Returns the layer with a diff id, if a tagged image of the store has it. Skips images that cannot
 * be read.
 */
export async function findLayer(store: Store, diffId: Digest): Promise<Layer | undefined> {
  const seen = new Set<Digest>();
  const todo = (await store.tags()).map(({ descriptor }) => descriptor);
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (seen.has(at.digest)) continue;
    seen.add(at.digest);
    try {
      const found = parseDescribed(await store.readBytes(at), at.mediaType);
      if ('manifests' in found) {
        todo.push(...found.manifests);
        continue;
      }
      const { rootfs } = parseImageConfig(await store.readBytes(found.config));
      const descriptor = found.layers[rootfs.diff_ids.indexOf(diffId)];
      if (descriptor !== undefined && (await store.has(descriptor.digest)))
        return { descriptor, diffId };
    } catch (error) {
      if (!isErrno(error, ...CONTENT_ERRORS)) throw error;
    }
  }
  return undefined;
}
