import { promisify } from 'node:util';
import { gunzip as gunzipBytes } from 'node:zlib';
import type { Descriptor } from './descriptor.ts';
import { MediaType } from './media-type.ts';
import type { Store } from './store.ts';

const gunzip = promisify(gunzipBytes);

/** A layer with a longer blob is a stream. */
const MAX_BLOB = 16 * 2 ** 20;
/** Of the blobs that are being unpacked, so that not each processor takes as much. */
const MAX_BLOBS = 28 * 2 ** 20;
/** RFC 1952, 2.2 and 2.3: a header and a trailer, and the least that deflate makes. */
const MIN_BLOB = 20;

/** Memory for layers that are held unpacked. */
export class LayerMemory {
  readonly #reclaim: (missing: number) => void;
  #free: number;
  #freeForBlobs = MAX_BLOBS;

  /** @param reclaim asked to give back so many bytes of archives, if there are any that nobody reads */
  constructor(bytes: number, reclaim: (missing: number) => void = () => undefined) {
    this.#free = bytes;
    this.#reclaim = reclaim;
  }

  /** Ends what `unpack` gave. */
  release(archive: Buffer): void {
    this.#free += archive.length;
    releaseBuffer(archive);
  }

  /**
   * The archive in a layer's blob, unpacked in one go, which costs less than half of what a stream of pieces does.
   * @returns undefined for a layer that has no room, or of which only a stream can say what it is or what is wrong with it
   */
  async unpack(store: Store, layer: Descriptor): Promise<Buffer | undefined> {
    const { size } = layer;
    if (!isGzip(layer) || size > MAX_BLOB || size < MIN_BLOB) return undefined;
    // What comes out is longer than what goes in, or it is of no account.
    if (size > this.#free) this.#reclaim(size - this.#free);
    if (size > this.#free || size > this.#freeForBlobs) return undefined;
    this.#freeForBlobs -= size;
    let taken = 0;
    let blob: Buffer | undefined;
    try {
      blob = await store.readBytes(layer, size);
      const length = blob.readUInt32LE(size - 4);
      if (length > this.#free) this.#reclaim(length - this.#free);
      if (length > this.#free) return undefined;
      taken = length;
      this.#free -= taken;
      // One byte to spare: a buffer that is full could be one of many.
      const room = length + 1;
      const archive = await gunzip(blob, { chunkSize: Math.max(room, 64), maxOutputLength: room });
      if (archive.length !== length) return undefined;
      taken = 0;
      return archive;
    } catch {
      return undefined;
    } finally {
      this.#freeForBlobs += size;
      this.#free += taken;
      releaseBuffer(blob);
    }
  }
}

/** Gives the memory of a large buffer back now, not when garbage is collected. Nobody may use it any more. */
export function releaseBuffer(buffer: Buffer | undefined): void {
  const memory = buffer?.buffer;
  if (memory instanceof ArrayBuffer && memory.byteLength >= MIN_DETACHABLE_BYTES)
    memory.transfer(0);
}

/** What is smaller may share its memory with others. */
const MIN_DETACHABLE_BYTES = 2 ** 20;

function isGzip({ mediaType }: Descriptor): boolean {
  return mediaType === MediaType.layerGzip || mediaType === MediaType.dockerLayerGzip;
}
