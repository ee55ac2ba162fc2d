import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, ioError } from '@lkt/core';
import { statsOf } from './disk-use.ts';
import type { Blobs } from './blobs.ts';
import { takeInventory } from './inventory.ts';
import { readLayoutIndex, writeLayoutIndex } from './layout-index.ts';
import { withLockAt } from './lock.ts';
import { TreeSizes } from './tree-sizes.ts';
import { CLOCK_SLACK_MS, type Writers } from './writers.ts';

/** The result of deleting a blob. */
export type BlobDeletion =
  | { readonly outcome: 'deleted' | 'missing' }
  /** Another process has used the blob since that process started. */
  | { readonly outcome: 'in-use' }
  /** The image with this name, or digest if unnamed, needs the blob. */
  | { readonly outcome: 'needed'; readonly by: string };

/**
 * Deletes a blob with the entries of the index that are about it, unless an image needs it. Other
 * processes that start to use the store wait meanwhile.
 * @param owns accepts the names in the index that may go with the blob
 */
export async function deleteBlob(
  store: Blobs,
  writers: Writers,
  digest: Digest,
  owns: (reference: string) => boolean,
): Promise<BlobDeletion> {
  const { dir } = store;
  return writers.collect(async (inUse = Infinity) =>
    withLockAt(join(dir, 'locks', 'index.lock'), async () => {
      const path = store.blobPath(digest);
      const stats = statsOf(path);
      if (stats === undefined) return { outcome: 'missing' };
      const index = await readLayoutIndex(dir);
      const entries = index.entries.filter(
        ({ reference, descriptor }) =>
          descriptor.digest !== digest || (reference !== undefined && !owns(reference)),
      );
      const rest = { ...index, entries };
      const { items } = await takeInventory(store, rest, [], new TreeSizes(dir));
      const user = items.find(({ area, blobs }) => area === 'images' && blobs.includes(digest));
      if (user !== undefined) return { outcome: 'needed', by: user.name };
      if (stats.mtimeMs >= inUse - CLOCK_SLACK_MS) return { outcome: 'in-use' };
      if (entries.length < index.entries.length)
        await writeLayoutIndex(dir, index.document, entries);
      await unlink(path).catch((error: unknown) => {
        throw ioError(`cannot delete blob ${digest}`, error);
      });
      return { outcome: 'deleted' };
    }),
  );
}
