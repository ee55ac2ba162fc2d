import { join } from 'node:path';
import { readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import type { ContextFile } from '@lkt/builder/inputs';
import { canonicalJson, type Digest, digestHex, digestOf, isDigest } from '@lkt/core';
import { writeDockerArchive, familiarReference, type Image, type Store } from '@lkt/oci';
import { archiveName, type DockerImage, type DockerImages } from '../build-yml/docker-images.ts';

/** An image for the build context, for the platform of the build. */
export interface ArchivedImage {
  readonly reference: DockerImage['reference'];
  readonly image: Image;
}

/** Increase it with every change that makes another archive of an unchanged image. */
const VERSION = 1;

/**
 * Returns the build context with archives of images, as `docker save` writes them. Replaces a file
 * at the same path, and all of `target-dir`. The archives are blobs of the store, written once.
 */
export async function withArchives(
  store: Store,
  files: readonly ContextFile[],
  { target }: DockerImages,
  images: readonly ArchivedImage[],
  signal: AbortSignal | undefined,
): Promise<readonly ContextFile[]> {
  const archives =
    target.kind === 'file'
      ? [{ path: target.path, images }]
      : images.map((one) => ({
          path: `${target.path}/${archiveName(one.reference)}`,
          images: [one],
        }));
  const added = new Map<string, ContextFile>();
  for (const { path, images: content } of archives) {
    const digest = await archiveOf(store, content, signal);
    added.set(path, { path, source: store.blobPath(digest), digest });
  }
  const kept = files.filter(
    ({ path }) => path !== target.path && !path.startsWith(`${target.path}/`),
  );
  return [...kept, ...added.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function archiveOf(
  store: Store,
  images: readonly ArchivedImage[],
  signal: AbortSignal | undefined,
): Promise<Digest> {
  const named = images.map(({ image, reference: { domain, path, tag } }) => ({
    image,
    tags: tag === undefined ? [] : [familiarReference({ domain, path, tag })],
  }));
  const content = named.map(({ image, tags }) => [image.descriptor.digest, tags]);
  const key = digestHex(digestOf(canonicalJson([VERSION, content])));
  const note = join(store.dir, 'archives', key);
  // The lock keeps an archive from being rewritten while another process reads it.
  return store.withLock(
    `archive ${key}`,
    async () => {
      const [known] = readCacheFile(store, note) ?? [];
      if (known !== undefined && isDigest(known) && (await store.keep(known))) {
        await store.use(note);
        return known;
      }
      const { digest } = await store.write(writeDockerArchive(store, named, signal), {}, signal);
      await writeCacheFile(store, note, [digest]);
      return digest;
    },
    { timeoutMs: 3600_000, signal },
  );
}
