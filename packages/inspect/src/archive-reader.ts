import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { fileChunks, importImages, loadImage, openStore, type Platform } from '@lkt/oci';
import type { FileMap } from '@lkt/formats';
import { readFacts } from './facts.ts';
import { storedEntries } from './stored-entries.ts';

/**
 * Reads the files of the image in an archive that `docker load` and `podman load` accept. Stores
 * the layers in a temporary directory, since an archive may list them in any order.
 * @throws ARCHIVE_INVALID unless the archive has exactly one image; IMAGE_INVALID, DIGEST_MISMATCH
 */
export async function readImageArchive(
  path: string,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<FileMap> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'lkt-'));
  const store = await openStore(join(directory.path, 'store'));
  const { images } = await importImages(store, fileChunks(path), { signal });
  const [found, ...others] = images;
  if (found === undefined || others.length > 0)
    throw new LktError('ARCHIVE_INVALID', `the archive has ${images.length} images, not one`, {
      fix: 'import the archive with lkt cache import, then inspect each image',
    });
  const image = await loadImage(store, found.descriptor.digest, platform);
  const files = new Map(await readFacts(storedEntries(store, image), signal));
  // No output of a build records metadata of the root directory.
  files.delete('');
  return files;
}
