import { LktError } from '@lkt/core';
import type { FileMap } from '@lkt/formats';
import { fromRaw, type Platform, type RawPath, type Store } from '@lkt/oci';
import { pathInImage } from './facts.ts';
import { viewStored } from './store-view.ts';
import type { ImageView } from './view.ts';

/**
 * Returns the image that each non-empty file comes from, by its reference without registry and
 * digest. Formats other than `tar` do not record it: there, a file is one of an image in the store
 * if path and content are equal. Unknown files, such as those of the config, are missing.
 */
export async function sourcesOf(
  { images }: Pick<ImageView, 'images'>,
  files: FileMap,
  store: Store | undefined,
  platform: Platform,
  signal?: AbortSignal,
): Promise<ReadonlyMap<RawPath, string>> {
  const sources = new Map<RawPath, string>();
  const byReference = new Map<string, string>(
    images.map(({ name, digest }) => [`${name}@${digest}`, name]),
  );
  let isRecorded = false;
  for (const [path, { source, size }] of files) {
    if (source === undefined) continue;
    isRecorded = true;
    const reference = fromRaw(source).replace(/^docker\.io\/(?:library\/)?/, '');
    const name = byReference.get(reference) ?? reference.replace(/@sha256:[0-9a-f]{64}$/, '');
    if (size > 0) sources.set(path, name);
  }
  if (isRecorded || store === undefined) return sources;
  const known = new Map<string, string>();
  for (const { name, digest } of images) {
    if (digest === undefined) continue;
    const stored = await filesOf(store, name, digest, platform, signal);
    for (const [path, { hash, size }] of stored ?? [])
      if (size > 0) known.set(`/${fromRaw(path)}\0${hash}`, name);
  }
  for (const [path, { hash, size }] of files) {
    const source = known.get(`${pathInImage(`/${fromRaw(path)}`)}\0${hash}`);
    if (source !== undefined && size > 0) sources.set(path, source);
  }
  return sources;
}

async function filesOf(
  store: Store,
  name: string,
  digest: NonNullable<ImageView['digest']>,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<FileMap | undefined> {
  try {
    const view = await viewStored(store, name, { digest }, platform);
    return await view.files?.(signal);
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
