import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, isDigest, isErrno, LktError } from '@lkt/core';
import { type Descriptor, loadImage, MediaType, type Platform, type Store } from '@lkt/oci';
import { writeFileAtomic } from '../write-file-atomic.ts';

/**
 * Returns the stored image of a build, or undefined if the store lacks one of its blobs.
 * @throws DIGEST_MISMATCH for a damaged blob
 */
export async function readResult(
  store: Store,
  key: string,
  platform: Platform,
): Promise<Descriptor | undefined> {
  const [digest = ''] = (await readText(resultPath(store, key)))?.trim().split(' ') ?? [];
  if (!isDigest(digest)) return undefined;
  try {
    const { descriptor, manifest } = await loadImage(store, digest, platform);
    const blobs = [descriptor.digest, manifest.config.digest];
    for (const blob of [...blobs, ...manifest.layers.map((layer) => layer.digest)])
      if (!(await store.keep(blob))) return undefined;
    await store.use(resultPath(store, key));
    return { ...descriptor, mediaType: MediaType.ociManifest };
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** Returns the digest that a result was pulled by, or undefined if it was built here. */
export async function pulledAs(store: Store, key: string): Promise<Digest | undefined> {
  const [, pin = ''] = (await readText(resultPath(store, key)))?.trim().split(' ') ?? [];
  return isDigest(pin) ? pin : undefined;
}

/**
 * Stores the result of a build.
 * @param pulled the digest that it was pulled by
 */
export async function writeResult(
  store: Store,
  key: string,
  { digest }: Descriptor,
  pulled?: Digest,
): Promise<void> {
  const path = resultPath(store, key);
  const text = pulled === undefined ? `${digest}\n` : `${digest} ${pulled}\n`;
  // A repeated build has the same result, and need not wait for the disk.
  if ((await readText(path)) === text && (await store.use(path))) return;
  await mkdir(join(store.dir, 'results'), { recursive: true });
  await writeFileAtomic(path, text);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function resultPath(store: Store, key: string): string {
  return join(store.dir, 'results', key);
}
