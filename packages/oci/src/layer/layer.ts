import { type Digest, Digester } from '@lkt/core';
import { gzip } from '../compression/compression.ts';
import type { Descriptor } from '../image/descriptor.ts';
import type { EntryToWrite } from '../tar/entry.ts';
import { MediaType } from '../image/media-type.ts';
import type { Store } from '../store/store.ts';
import { writeTar } from '../tar/tar-writer.ts';

/**
 * A layer in the store: its blob, and the digest of the uncompressed tar archive (image-spec,
 * config.md, "Layer DiffID").
 */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

/**
 * Writes entries as a layer in the given order, unmodified. Streams: holds only a few chunks.
 * @example
 * ```ts
 * const { descriptor, diffId } = await writeLayer(store, [plainFile('etc/motd', 'hello\n')]);
 * ```
 */
export async function writeLayer(
  store: Store,
  entries: AsyncIterable<EntryToWrite> | Iterable<EntryToWrite>,
  { compression = 'gzip', signal }: { compression?: 'gzip' | 'none'; signal?: AbortSignal } = {},
): Promise<Layer> {
  const digester = new Digester();
  const archive = digester.through(writeTar(entries));
  const blob = await store.write(compression === 'gzip' ? gzip(archive) : archive, {}, signal);
  const mediaType = compression === 'gzip' ? MediaType.layerGzip : MediaType.layerTar;
  return { descriptor: { mediaType, ...blob }, diffId: digester.digest() };
}
