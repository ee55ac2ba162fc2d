import { closeSync, openSync, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { gunzip as gunzipBytes } from 'node:zlib';
import { digestAlgorithm } from '@lkt/core';
import type { Descriptor } from '../image/descriptor.ts';
import { MediaType } from '../image/media-type.ts';
import { createAsyncDigester } from '../io/async-digester.ts';
import type { Store } from '../store/store.ts';

const gunzip = promisify(gunzipBytes);

/** Layers with a longer blob are streamed. */
const MAX_BLOB = 16 * 2 ** 20;
/** Bytes of blobs that may be in memory for unpacking at once, across threads. */
const MAX_BLOBS = 28 * 2 ** 20;
/** The shortest gzip: header and trailer (RFC 1952, 2.2 and 2.3) plus minimal deflate data. */
const MIN_BLOB = 20;

/** A budget of memory for unpacked layers. */
export class LayerMemory {
  readonly #reclaim: (missing: number) => void;
  readonly #budget: number;
  #free: number;
  #freeForBlobs = MAX_BLOBS;

  /**
   * @param bytes the budget
   * @param reclaim called to release `missing` bytes of unused archives, if there are any
   */
  constructor(bytes: number, reclaim: (missing: number) => void = () => undefined) {
    this.#budget = bytes;
    this.#free = bytes;
    this.#reclaim = reclaim;
  }

  /**
   * Returns the bytes that `unpack` would take for a layer, as the end of its blob claims; 0 if a
   * stream must read it. The blob is not verified.
   */
  need(store: Store, { digest, mediaType, size }: Descriptor): number {
    if (!isSuitable({ mediaType, size })) return 0;
    const end = readEnd(store.blobPath(digest), size);
    const length = end?.readUInt32LE() ?? 0;
    return length > this.#budget ? 0 : length;
  }

  /** Returns the memory of an archive from `unpack`. */
  release(archive: Buffer): void {
    this.#free += archive.length;
    releaseBuffer(archive);
  }

  /**
   * Returns a layer's archive, unpacked in one call, which takes less than half the time of a
   * stream.
   * @returns undefined if the layer does not fit, is not plain gzip, or is damaged; a stream must
   * read it and report errors
   * @param onStart called when the work is left to other threads
   */
  async unpack(store: Store, layer: Descriptor, onStart?: () => void): Promise<Buffer | undefined> {
    const { size } = layer;
    if (!isSuitable(layer)) return undefined;
    // An archive is longer than its blob, except for layers too small to matter.
    if (size > this.#free) this.#reclaim(size - this.#free);
    if (size > this.#free || size > this.#freeForBlobs) return undefined;
    this.#freeForBlobs -= size;
    let taken = 0;
    let blob: Buffer | undefined;
    let checking: Promise<boolean> | undefined;
    try {
      blob = await store.readBytes(layer, size, { isCheckedByConsumer: true });
      const length = blob.readUInt32LE(size - 4);
      if (length > this.#free) this.#reclaim(length - this.#free);
      if (length > this.#free) return undefined;
      taken = length;
      this.#free -= taken;
      // On another thread than gunzip, which stops at what is not gzip.
      checking = isIntact(blob, layer);
      checking.catch(() => undefined);
      // One spare byte: a full buffer might be the first of several.
      const room = length + 1;
      const options = { chunkSize: Math.max(room, 64), maxOutputLength: room };
      const unpacking = gunzip(blob, options);
      onStart?.();
      const archive = await unpacking;
      if (archive.length !== length || !(await checking)) return undefined;
      taken = 0;
      return archive;
    } catch {
      return undefined;
    } finally {
      // It reads the blob.
      await checking?.catch(() => undefined);
      this.#freeForBlobs += size;
      this.#free += taken;
      releaseBuffer(blob);
    }
  }
}

/** Reports whether a blob has its digest. */
async function isIntact(
  blob: Uint8Array,
  { digest }: Pick<Descriptor, 'digest'>,
): Promise<boolean> {
  using digester = await createAsyncDigester(blob.length, digestAlgorithm(digest));
  await digester.update(blob);
  return (await digester.digest()) === digest;
}

/**
 * Frees the memory of a large buffer at once instead of at the next garbage collection. It must not
 * be used again.
 */
export function releaseBuffer(buffer: Buffer | undefined): void {
  const memory = buffer?.buffer;
  if (memory instanceof ArrayBuffer && memory.byteLength >= MIN_DETACHABLE_BYTES)
    memory.transfer(0);
}

/** Smaller buffers may share their memory with others. */
const MIN_DETACHABLE_BYTES = 2 ** 20;

/** Reports whether a layer is gzip of a length that fits into memory. */
function isSuitable({ mediaType, size }: Pick<Descriptor, 'mediaType' | 'size'>): boolean {
  const isGzip = mediaType === MediaType.layerGzip || mediaType === MediaType.dockerLayerGzip;
  return isGzip && size <= MAX_BLOB && size >= MIN_BLOB;
}

/** Returns the last four bytes of a file of this size; undefined if it cannot be read. */
function readEnd(path: string, size: number): Buffer | undefined {
  try {
    const file = openSync(path, 'r');
    try {
      const end = Buffer.alloc(4);
      return readSync(file, end, 0, 4, size - 4) === 4 ? end : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    // The read of the whole layer reports it.
    return undefined;
  }
}
