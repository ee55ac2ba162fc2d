import { type Digest } from '@lkt/core';
import type { Platform, Store, TreeNode } from '@lkt/oci';
import type { Session } from './session.ts';
import { imageInStore } from './store-image.ts';

/** No text that says what a kernel was made with, or is started with, is longer: it is input like any other. */
const MOST = 8 * 1024 * 1024;

/** Files of an image of the store, by their paths without a slash in front; those that are very long are left out. */
export async function imageFiles(
  store: Store,
  digest: Digest,
  platform: Platform,
  want: (path: string) => boolean,
): Promise<ReadonlyMap<string, Buffer>> {
  const { flattenArchives, fromRaw, loadImage, readArchives, UnpackedLayers } =
    await import('@lkt/oci');
  const { manifest } = await loadImage(store, digest, platform);
  await using unpacked = new UnpackedLayers(store);
  const archives = unpacked.archives(manifest.layers);
  const tree = await flattenArchives(archives);
  const isWanted = ({ path, size }: TreeNode): boolean => size <= MOST && want(fromRaw(path));
  const files = new Map<string, Buffer>();
  for await (const { path, content } of readArchives(archives, tree, isWanted)) {
    const pieces: Uint8Array[] = [];
    // The memory of a piece is used again for the next.
    for await (const piece of content ?? []) pieces.push(Buffer.from(piece));
    files.set(fromRaw(path), Buffer.concat(pieces));
  }
  return files;
}

/** The same of an image that the user names. @throws LktError NOT_FOUND, REFERENCE_INVALID */
export async function storedFiles(
  session: Session,
  reference: string,
  platform: string,
  want: (path: string) => boolean,
): Promise<ReadonlyMap<string, Buffer>> {
  const { parsePlatform } = await import('@lkt/oci');
  const { store, descriptor } = await imageInStore(session, reference);
  return imageFiles(store, descriptor.digest, parsePlatform(platform), want);
}

/** The labels of an image that the user names. @throws LktError NOT_FOUND, REFERENCE_INVALID */
export async function storedLabels(
  session: Session,
  reference: string,
  platform: string,
): Promise<Readonly<Record<string, string>>> {
  const { loadImage, parsePlatform } = await import('@lkt/oci');
  const { store, descriptor } = await imageInStore(session, reference);
  const { config } = await loadImage(store, descriptor.digest, parsePlatform(platform));
  return config.config?.Labels ?? {};
}
