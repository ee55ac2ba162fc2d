import { crc32 } from 'node:zlib';
import { BufferPool, digestOf } from '@lkt/core';
import {
  createAsyncDigester,
  type LayerArchive,
  type FileTree,
  streamFlatten,
  type LayerFile,
  zstdBlocks,
} from '@lkt/oci';
import type { CachedRange } from '../cache.ts';

/** Bump when the bytes of packed files change for unchanged layers. */
export const PACKED_VERSION = 'packed 1';

/** Bytes. Shorter contents are packed together, which compresses better. */
const MIN_PACKED_SIZE = 64 * 1024;
/** Maximum bytes of a batch of short contents. */
const BATCH_SIZE = 512 * 1024;

const batches = new BufferPool(BATCH_SIZE);

/** A zstd level; `key` identifies all that determines the bytes. */
export interface Packing {
  readonly level?: number;
  readonly key: string;
}

/** The range of a packed content in the output of `FilePacker`. */
export interface PackedFile extends Omit<PackedRange, 'path'> {
  /** Logarithm of the zstd window; 0 for uncompressed content. */
  readonly windowLog: number;
}

/** A range of the output of `FilePacker`. The CRC-32 is an input of the ids of disks. */
export interface PackedRange extends CachedRange {
  readonly crc: number;
}

/** A content as zstd blocks, with their window. */
export interface PackedContent {
  readonly range: PackedRange;
  readonly windowLog: number;
}

/**
 * Packs each file of layers by itself (`zstdBlocks`), so that its blocks can go into any archive.
 * Also builds the tree of the layers.
 */
export class FilePacker {
  readonly #archives: readonly LayerArchive[];
  readonly #level: number | undefined;
  /** By layer and ordinal. */
  readonly #files: PackedFile[][];
  #tree: FileTree | undefined;
  #size = 0;
  #run: Run | undefined;

  constructor(archives: readonly LayerArchive[], { level }: Packing) {
    this.#archives = archives;
    this.#level = level;
    this.#files = archives.map(() => []);
  }

  /** Tree of the layers, once all bytes are read. */
  get tree(): FileTree | undefined {
    return this.#tree;
  }

  /** Returns the packed range of an entry of a layer; undefined unless it is a non-empty file. */
  find(layer: number, ordinal: number): PackedFile | undefined {
    return this.#files[layer]?.[ordinal];
  }

  /**
   * Reads the layers once. Each chunk is valid until the next one is requested.
   * @throws LktError as streamFlatten
   */
  async *bytes(): AsyncGenerator<Uint8Array> {
    const files = streamFlatten(this.#archives);
    for (;;) {
      const step = await files.next();
      if (step.done === true) {
        this.#tree = step.value;
        break;
      }
      yield* step.value.size < MIN_PACKED_SIZE ? this.#add(step.value) : this.#pack(step.value);
    }
    yield* this.#endRun();
  }

  async *#pack({ layer, ordinal, size, content }: LayerFile): AsyncGenerator<Uint8Array> {
    const blocks = zstdBlocks(content, size, this.#level);
    const offset = this.#size;
    using digester = await createAsyncDigester(size);
    let crc = 0;
    for (;;) {
      const step = await blocks.next();
      if (step.done === true) {
        const range = { offset, size: this.#size - offset, crc, digest: await digester.digest() };
        return this.#note(layer, ordinal, { ...range, windowLog: step.value });
      }
      // Hashed while the caller uses the chunk.
      const hashing = digester.update(step.value);
      hashing.catch(() => undefined);
      crc = crc32(step.value, crc);
      this.#size += step.value.length;
      try {
        yield step.value;
      } finally {
        // The memory may be reused.
        await hashing;
      }
    }
  }

  async *#add({ layer, ordinal, size, content }: LayerFile): AsyncGenerator<Uint8Array> {
    if (this.#run !== undefined && this.#run.used + size > BATCH_SIZE) yield* this.#endRun();
    this.#run ??= { data: batches.take(), files: [], used: 0 };
    const { data, files, used: offset } = this.#run;
    for await (const chunk of content) {
      data.set(chunk, this.#run.used);
      this.#run.used += chunk.length;
    }
    const bytes = data.subarray(offset, offset + size);
    const range = { offset, size, crc: crc32(bytes), digest: digestOf(bytes) };
    files.push({ layer, ordinal, packed: { ...range, windowLog: 0 } });
  }

  *#endRun(): Generator<Uint8Array> {
    if (this.#run === undefined) return;
    const { data, files, used } = this.#run;
    for (const { layer, ordinal, packed } of files)
      this.#note(layer, ordinal, { ...packed, offset: this.#size + packed.offset });
    this.#size += used;
    this.#run = undefined;
    yield data.subarray(0, used);
    batches.release(data);
  }

  #note(layer: number, ordinal: number, packed: PackedFile): void {
    const files = this.#files[layer];
    if (files !== undefined) files[ordinal] = packed;
  }
}

/** A batch of short contents; offsets are relative to it. */
interface Run {
  readonly data: Buffer;
  readonly files: {
    readonly layer: number;
    readonly ordinal: number;
    readonly packed: PackedFile;
  }[];
  used: number;
}
