import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { fileChunks, importImages, loadImage, openStore, type Platform } from '@lkt/oci';
import { readFileFacts, type FileMap } from '@lkt/formats';
import { storedEntries } from './stored-entries.ts';

/**
 * The files of the image in an archive, as `docker load` and `podman load` take it. Its layers are kept meanwhile where
 * temporary files are, since an archive may have them in any order.
 * @throws LktError ARCHIVE_INVALID, IMAGE_INVALID, DIGEST_MISMATCH
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
    throw new LktError('ARCHIVE_INVALID', `there are ${images.length} images in it`, {
      fix: 'look into each: lkt cache import, then lkt inspect',
    });
  const image = await loadImage(store, found.descriptor.digest, platform);
  const files = new Map(await readFileFacts(storedEntries(store, image), {}, signal));
  // Nothing that is built says anything of the root itself.
  files.delete('');
  return files;
}
