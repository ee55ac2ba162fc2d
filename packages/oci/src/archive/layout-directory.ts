import { copyFile, link, mkdir, mkdtempDisposable, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Digest, ioError, isErrno } from '@lkt/core';
import type { Descriptor } from '../image/descriptor.ts';
import { digestOfPath } from './archive-files.ts';
import { imageLayout, type LayoutOptions } from './export-archive.ts';
import { makeDirectories } from '../io/files.ts';
import { loadImage } from '../image/image.ts';
import { MediaType } from '../image/media-type.ts';
import { openStore } from '../store/open-store.ts';
import type { Platform } from '../image/platform.ts';
import type { Store } from '../store/store.ts';

/**
 * Writes an image of the store as an OCI image layout directory, atomically replacing `dir`. Blobs
 * are hard links to the store where the file system allows it, else copies. A program that modifies
 * a linked blob damages the store, which detects that on the next read.
 * @param more additional files: name to content
 * @throws NOT_FOUND, IO_FAILED, DISK_FULL
 */
export async function writeLayoutDirectory(
  store: Store,
  descriptor: Descriptor,
  dir: string,
  {
    more = {},
    ...options
  }: LayoutOptions & { readonly more?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const files = await imageLayout(store, descriptor, options);
  await store.withLock(`layout ${dir}`, async () => {
    try {
      await makeDirectories(dirname(dir));
      await using temporary = await mkdtempDisposable(join(dirname(dir), `.${basename(dir)}-`));
      for await (const { path, type, content } of files) {
        const target = join(temporary.path, path);
        const blob = digestOfPath(path);
        if (type === 'directory') await mkdir(target);
        else if (blob === undefined) await writeFile(target, content ?? '');
        else await linkOrCopy(store.blobPath(blob), target);
      }
      for (const [name, text] of Object.entries(more))
        await writeFile(join(temporary.path, name), text);
      await rm(dir, { recursive: true, force: true });
      await rename(temporary.path, dir);
    } catch (error) {
      throw ioError(`cannot write ${dir}`, error);
    }
  });
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Another file system, one without hard links, or a file with the maximum number of links.
    if (!isErrno(error, 'EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK', 'EACCES')) throw error;
    await copyFile(from, to);
  }
}

/**
 * Imports the image for a platform from an OCI image layout directory into the store, verifying
 * each blob.
 * @throws NOT_FOUND, DIGEST_MISMATCH, IMAGE_INVALID
 */
export async function importFromLayout(
  store: Store,
  dir: string,
  digest: Digest,
  platform: Platform,
  signal?: AbortSignal,
): Promise<Descriptor> {
  const layout = await openStore(dir, { create: false });
  const { descriptor, manifest } = await loadImage(layout, digest, platform);
  for (const blob of [manifest.config, ...manifest.layers])
    await store.write(layout.read(blob), { digest: blob.digest, size: blob.size }, signal);
  // Written last, after the blobs it refers to.
  const image = { digest: descriptor.digest };
  await store.writeBytes(await layout.readBytes(image), image.digest);
  return { ...descriptor, mediaType: MediaType.ociManifest };
}
