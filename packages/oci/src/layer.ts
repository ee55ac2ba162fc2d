import { type Digest, Digester } from '@lkt/core';
import { gzip } from './compression.ts';
import type { Descriptor } from './descriptor.ts';
import type { EntryWithContent } from './entry.ts';
import { MediaType } from './media-type.ts';
import type { Store } from './store.ts';
import { writeTar } from './tar-writer.ts';

/** A layer in the store: its blob, and the digest of the tar archive inside (config.md, "Layer DiffID"). */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

/** Writes the entries as a layer, in their order and as they are. Nothing is held but a few chunks. */
export async function writeLayer(
  store: Store,
  entries: AsyncIterable<EntryWithContent> | Iterable<EntryWithContent>,
  { compression = 'gzip', signal }: { compression?: 'gzip' | 'none'; signal?: AbortSignal } = {},
): Promise<Layer> {
  const digester = new Digester();
  const archive = hashed(writeTar(entries), digester);
  const blob = await store.write(compression === 'gzip' ? gzip(archive) : archive, {}, signal);
  const mediaType = compression === 'gzip' ? MediaType.layerGzip : MediaType.layerTar;
  return { descriptor: { mediaType, ...blob }, diffId: digester.digest() };
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  digester: Digester,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk);
    yield chunk;
  }
}
