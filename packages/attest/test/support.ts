import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type EntryWithContent,
  type Image,
  loadImage,
  openStore,
  parsePlatform,
  type Platform,
  SOURCE_DATE_EPOCH,
  type Store,
  writeImage,
  writeLayer,
} from '@lkt/oci';

const PLATFORM: Platform = parsePlatform('linux/amd64');

export async function withStore(use: (store: Store) => Promise<void>): Promise<void> {
  const temp = await mkdtempDisposable(join(tmpdir(), 'lkt-attest-'));
  try {
    await use(await openStore(join(temp.path, 'store')));
  } finally {
    await temp.remove();
  }
}

export function file(path: string, content: string | Buffer): EntryWithContent {
  const bytes = Buffer.from(content as string);
  return {
    path,
    type: 'file',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: SOURCE_DATE_EPOCH,
    size: bytes.length,
    content: (async function* pieces(): AsyncGenerator<Uint8Array> {
      // An odd chunk size, so that patterns span two chunks.
      for (let at = 0; at < bytes.length; at += 4093) yield bytes.subarray(at, at + 4093);
    })(),
  };
}

/** Writes an image whose layers hold the given files. */
export async function image(
  store: Store,
  ...layers: readonly (readonly EntryWithContent[])[]
): Promise<Image> {
  const written = [];
  for (const entries of layers) written.push(await writeLayer(store, entries));
  const descriptor = await writeImage(store, { config: {}, layers: written, platform: PLATFORM });
  return loadImage(store, descriptor.digest, PLATFORM);
}
