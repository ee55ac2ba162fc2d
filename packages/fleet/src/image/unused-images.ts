import { stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import { namesIn } from '@lkt/oci/files';
import { removeTree } from '@lkt/oci/shared-files';

/** How long an image that no node runs is kept: a group that waits for a window may want it. */
const KEEP_MS = 7 * 86_400_000;

/** Records that an image is in use, so that it is kept. Reports whether it exists. */
export async function keepImage(path: string): Promise<boolean> {
  const now = new Date();
  try {
    await utimes(path, now, now);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * Removes images that were not wanted for a week, and parts of such that a killed process left.
 * @param dir directory with a directory for each image
 * @param used names of images that nodes run
 */
export async function removeUnusedImages(
  dir: string,
  used: ReadonlySet<string>,
  now: number = Date.now(),
): Promise<void> {
  for (const name of namesIn(dir)) {
    if (used.has(name)) continue;
    const path = join(dir, name);
    if ((await wantedAt(path)) < now - KEEP_MS) await removeTree(path);
  }
}

/** Returns when an image was wanted last; Infinity if another process has removed it. */
async function wantedAt(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return Infinity;
    throw error;
  }
}
