import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, ioError } from '@lkt/core';
import { decompressLayer } from '../compression/compression.ts';
import type { Descriptor } from '../image/descriptor.ts';
import { chunksOf, writeAll } from '../io/file-chunks.ts';
import type { Layer } from './layer.ts';
import { explainLayerError } from './layer-error.ts';
import { LayerMemory } from './layer-memory.ts';
import { Room } from './room.ts';
import type { Store } from '../store/store.ts';

/** A tar archive of a layer that can be read repeatedly. */
export interface LayerArchive {
  /** The layer, for a check of its diff id by a complete read. */
  readonly layer?: Layer;
  /**
   * Opens the archive at its start.
   * @param maxBytes limit of the unpacked size; default 64 GiB
   */
  open(maxBytes?: number): OpenLayerArchive;
  /** Returns the error to report in place of one that occurred while reading. */
  readonly explain?: (error: unknown) => Promise<unknown>;
}

/** A layer archive that is being read; dispose it to end the read. */
export interface OpenLayerArchive extends AsyncDisposable {
  readonly data: AsyncIterable<Uint8Array>;
  /** Runs the checks at the end of the source. Required after a partial read of `data`. */
  finish(): Promise<void>;
}

/** Returns layers of a store as archives that are unpacked on each read. */
export function layerArchives(store: Store, layers: readonly Layer[]): readonly LayerArchive[] {
  return layers.map((layer) => ({ ...layerArchive(store, layer.descriptor), layer }));
}

/** Returns a layer of a store, without its diff id, as an archive that is unpacked on each read. */
export function layerArchive(store: Store, layer: Descriptor): LayerArchive {
  // A decompressor is done with a chunk when it requests the next one.
  const canReuseBuffers = !layer.mediaType.endsWith('tar');
  return {
    open: (maxBytes) =>
      openArchive(store.read(layer, { canReuseBuffers }), (blob) =>
        decompressLayer(layer, blob, { maxBytes }),
      ),
    explain: async (error) => explainLayerError(store, layer, error),
  };
}

/** Larger archives are unpacked again instead of kept. */
const MAX_KEPT = 4 * 2 ** 30;
/** A layer with a longer blob is unpacked again for each read, even if it is held. */
const MAX_HELD_BLOB = 64 * 2 ** 20;
const CHUNK = 256 * 1024;
const ZEROS = Buffer.alloc(CHUNK);

/**
 * Layers as archives that are unpacked once. The first complete read keeps the result for later
 * ones: in memory while there is room, else in an unlinked temporary file. A chunk is valid until
 * the next one is requested.
 */
export class UnpackedLayers implements AsyncDisposable {
  readonly #store: Store;
  readonly #memory: LayerMemory;
  readonly #room: Room;
  readonly #held = new Map<Digest, HeldArchive>();
  readonly #kept = new Map<Digest, KeptArchive>();
  readonly #reading = new Map<Digest, Promise<void>>();
  /** The number of calls of `hold` that are in force, by layer. */
  readonly #holds = new Map<Digest, number>();
  #dir: Promise<AsyncDisposable & { path: string }> | undefined;

  /** @param memory bytes of memory for archives; default 36 MiB */
  constructor(store: Store, { memory = 36 * 2 ** 20 }: { memory?: number } = {}) {
    this.#store = store;
    this.#memory = new LayerMemory(memory, (missing) => this.#reclaim(missing));
    this.#room = new Room(memory);
  }

  /**
   * Returns the archives of layers.
   * @param isOnce no second read is expected, so nothing is kept
   */
  archives(
    layers: readonly Layer[],
    { isOnce = false }: { isOnce?: boolean } = {},
  ): readonly LayerArchive[] {
    return layerArchives(this.#store, layers).map((archive, index) => {
      const layer = layers[index]?.descriptor;
      // Uncompressed blobs need no unpacking.
      if (layer === undefined || layer.mediaType.endsWith('tar')) return archive;
      return { ...archive, open: (maxBytes) => this.#open(layer, archive, maxBytes, isOnce) };
    });
  }

  /**
   * Keeps what is read of layers until disposal of the result, for several readers at once: also
   * after a read with `isOnce`, except of large layers. Waits until the memory has room for them
   * beside the layers of other holds, because what has no room is unpacked in twice the time. A
   * caller must not hold layers while it waits.
   *
   * Starts to unpack the first layer, and returns when other threads do so.
   */
  async hold(layers: readonly Descriptor[]): Promise<AsyncDisposable> {
    const digests = layers.map(({ digest }) => digest);
    const others = layers.filter(({ digest }) => !this.#holds.has(digest));
    const bytes = others.reduce((sum, layer) => sum + this.#memory.need(this.#store, layer), 0);
    const room = await this.#room.take(bytes);
    for (const digest of digests) this.#holds.set(digest, (this.#holds.get(digest) ?? 0) + 1);
    const ahead = this.#unpackAhead(layers[0]);
    await ahead?.started;
    return {
      [Symbol.asyncDispose]: async () => {
        using _ = room;
        await ahead?.done;
        await this.#release(digests);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file } of this.#kept.values()) await file.close();
    this.#kept.clear();
    for (const { archive } of this.#held.values()) this.#memory.release(archive);
    this.#held.clear();
    await (await this.#dir)?.[Symbol.asyncDispose]();
  }

  #open(
    layer: Descriptor,
    archive: LayerArchive,
    maxBytes: number | undefined,
    isOnce: boolean,
  ): OpenLayerArchive {
    let opened: OpenLayerArchive | undefined;
    return {
      data: this.#read(layer, maxBytes, isOnce, () => (opened = archive.open(maxBytes))),
      finish: async () => opened?.finish(),
      [Symbol.asyncDispose]: async () => opened?.[Symbol.asyncDispose](),
    };
  }

  async *#read(
    layer: Descriptor,
    maxBytes: number = Infinity,
    isOnce: boolean,
    unpack: () => OpenLayerArchive,
  ): AsyncGenerator<Uint8Array> {
    const { digest } = layer;
    // Images that share a layer may be read concurrently.
    await this.#reading.get(digest);
    const kept = this.#kept.get(digest);
    const held = this.#held.get(digest);
    if (held !== undefined && held.archive.length <= maxBytes) {
      yield* readHeld(held);
    } else if (kept !== undefined) {
      const part = { offset: 0, size: kept.size };
      kept.readers += 1;
      try {
        yield* chunksOf(kept.file, { canReuseBuffers: true, part, chunkBytes: CHUNK });
      } finally {
        kept.readers -= 1;
      }
    } else if (this.#reading.has(digest)) {
      yield* unpack().data;
    } else {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#reading.set(digest, promise);
      try {
        const archive = await this.#memory.unpack(this.#store, layer);
        const unpacked = archive && { archive, readers: 0 };
        if (unpacked !== undefined) this.#held.set(digest, unpacked);
        if (unpacked !== undefined && unpacked.archive.length <= maxBytes) {
          // Others need not wait for the end of this read.
          this.#reading.delete(digest);
          resolve();
          yield* readHeld(unpacked);
          if (isOnce && unpacked.readers === 0 && !this.#holds.has(digest))
            this.#forget(digest, unpacked);
        } else if (isOnce && !(this.#holds.has(digest) && layer.size <= MAX_HELD_BLOB)) {
          yield* unpack().data;
        } else {
          yield* this.#keeping(digest, unpack().data);
        }
      } finally {
        this.#reading.delete(digest);
        resolve();
      }
    }
  }

  /** Unpacks a layer into memory ahead of its readers, who wait for it. */
  #unpackAhead(layer: Descriptor | undefined): Ahead | undefined {
    if (layer === undefined) return undefined;
    const { digest } = layer;
    if (this.#held.has(digest) || this.#kept.has(digest) || this.#reading.has(digest))
      return undefined;
    const { promise: started, resolve } = Promise.withResolvers<void>();
    const unpack = async (): Promise<void> => {
      const archive = await this.#memory.unpack(this.#store, layer, resolve);
      if (archive !== undefined) this.#held.set(digest, { archive, readers: 0 });
      this.#reading.delete(digest);
      resolve();
    };
    const done = unpack();
    this.#reading.set(digest, done);
    return { started, done };
  }

  /** Ends one hold, and drops what no other hold and no reader needs. */
  async #release(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      const left = (this.#holds.get(digest) ?? 1) - 1;
      if (left > 0) {
        this.#holds.set(digest, left);
        continue;
      }
      this.#holds.delete(digest);
      const held = this.#held.get(digest);
      if (held?.readers === 0) this.#forget(digest, held);
      const kept = this.#kept.get(digest);
      if (kept?.readers !== 0) continue;
      this.#kept.delete(digest);
      await kept.file.close();
    }
  }

  /** Drops archives in memory without readers, oldest first, until `missing` bytes are free. */
  #reclaim(missing: number): void {
    let found = 0;
    for (const [digest, held] of this.#held) {
      if (found >= missing) return;
      if (held.readers > 0) continue;
      found += held.archive.length;
      this.#forget(digest, held);
    }
  }

  #forget(digest: Digest, { archive }: HeldArchive): void {
    this.#held.delete(digest);
    this.#memory.release(archive);
  }

  async *#keeping(digest: Digest, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const file = await this.#newFile(digest);
    let size = 0;
    let isWhole = false;
    let writing = Promise.resolve();
    try {
      for await (const chunk of data) {
        // Runs of zeros, typical of archive bombs, become holes that occupy no disk space.
        if (size <= MAX_KEPT && !isZero(chunk)) writing = writeAt(file, chunk, size);
        // Awaited below unless the consumer stops.
        writing.catch(() => undefined);
        size += chunk.length;
        yield chunk;
        await writing;
      }
      isWhole = size <= MAX_KEPT;
      if (isWhole) await file.truncate(size);
    } finally {
      await writing.catch(() => undefined);
      if (isWhole) this.#kept.set(digest, { file, size, readers: 0 });
      else await file.close();
    }
  }

  async #newFile(digest: Digest): Promise<FileHandle> {
    try {
      this.#dir ??= this.#store.tempDir();
      const path = join((await this.#dir).path, digestHex(digest));
      const file = await open(path, 'wx+', 0o600);
      await unlink(path);
      return file;
    } catch (error) {
      throw ioError('cannot unpack a layer in the store', error);
    }
  }
}

/** A layer that is unpacked ahead of its readers. */
interface Ahead {
  /** Resolves when other threads do the work. */
  readonly started: Promise<void>;
  readonly done: Promise<void>;
}

interface HeldArchive {
  readonly archive: Buffer;
  readers: number;
}

async function* readHeld(held: HeldArchive): AsyncGenerator<Uint8Array> {
  held.readers += 1;
  try {
    yield held.archive;
  } finally {
    held.readers -= 1;
  }
}

interface KeptArchive {
  readonly file: FileHandle;
  readonly size: number;
  readers: number;
}

function isZero(chunk: Uint8Array): boolean {
  return chunk.length <= CHUNK && ZEROS.subarray(0, chunk.length).equals(chunk);
}

async function writeAt(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  try {
    await writeAll(file, chunk, position);
  } catch (error) {
    throw ioError('cannot unpack a layer in the store', error);
  }
}

/**
 * Opens an archive whose bytes `unpack` makes of a source. The end of a read of the bytes does not
 * end the source, whose check runs at its end.
 */
export function openArchive(
  source: AsyncGenerator<Uint8Array>,
  unpack: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> = (bytes) => bytes,
): OpenLayerArchive {
  return {
    data: unpack({ [Symbol.asyncIterator]: () => ({ next: async () => source.next() }) }),
    finish: async () => {
      while ((await source.next()).done !== true);
    },
    [Symbol.asyncDispose]: async () => {
      await source.return(undefined);
    },
  };
}
