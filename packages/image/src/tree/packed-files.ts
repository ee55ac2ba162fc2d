import { crc32 } from 'node:zlib';
import {
  type LayerArchive,
  type FileTree,
  streamFlatten,
  type LayerFile,
  zstdBlocks,
} from '@lkt/oci';
import type { CachedRange } from '../cache.ts';

/** Bump when the bytes of packed files change for unchanged layers. */
export const PACKED_VERSION = 'packed 1';

/** A shorter content is packed together with others, which makes it smaller. */
const MIN_PACKED_SIZE = 64 * 1024;
/** How much of short contents is written at once. */
const BATCH_SIZE = 512 * 1024;

/** What packs: zstd at a level, named by all that its bytes depend on. */
export interface Packing {
  readonly level?: number;
  readonly key: string;
}

/** Where the content of a file is in what `FilePacker` gives. */
export interface PackedFile extends Omit<CachedRange, 'path'> {
  /** Of a content that is blocks of zstd: the logarithm of the window they need. Of one that is as it was: 0. */
  readonly windowLog: number;
}

/** Blocks of zstd that are a content, and the window they need. */
export interface PackedContent {
  readonly range: CachedRange;
  readonly windowLog: number;
}

/**
 * Packs the contents of the files of layers, each by itself, so that it can go into any archive, wherever the file is put
 * there: `zstdBlocks`. What was read on the way is the tree.
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

  /** The tree of the layers, when all bytes were read. */
  get tree(): FileTree | undefined {
    return this.#tree;
  }

  /** What is packed of an entry of a layer, if it is a file that is not empty. */
  find(layer: number, ordinal: number): PackedFile | undefined {
    return this.#files[layer]?.[ordinal];
  }

  /** Reads the layers once. A piece is good until the next is asked for. @throws LktError as streamFlatten */
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
    let crc = 0;
    for (;;) {
      const step = await blocks.next();
      if (step.done === true) {
        const packed = { offset, size: this.#size - offset, crc, windowLog: step.value };
        return this.#note(layer, ordinal, packed);
      }
      crc = crc32(step.value, crc);
      this.#size += step.value.length;
      yield step.value;
    }
  }

  async *#add({ layer, ordinal, size, content }: LayerFile): AsyncGenerator<Uint8Array> {
    if (this.#run !== undefined && this.#run.used + size > BATCH_SIZE) yield* this.#endRun();
    this.#run ??= { data: Buffer.allocUnsafeSlow(BATCH_SIZE), files: [], used: 0 };
    const { data, files, used: offset } = this.#run;
    for await (const chunk of content) {
      data.set(chunk, this.#run.used);
      this.#run.used += chunk.length;
    }
    const crc = crc32(data.subarray(offset, offset + size));
    files.push({ layer, ordinal, packed: { offset, size, crc, windowLog: 0 } });
  }

  *#endRun(): Generator<Uint8Array> {
    if (this.#run === undefined) return;
    const { data, files, used } = this.#run;
    for (const { layer, ordinal, packed } of files)
      this.#note(layer, ordinal, { ...packed, offset: this.#size + packed.offset });
    this.#size += used;
    this.#run = undefined;
    yield data.subarray(0, used);
  }

  #note(layer: number, ordinal: number, packed: PackedFile): void {
    const files = this.#files[layer];
    if (files !== undefined) files[ordinal] = packed;
  }
}

/** Short contents one after the other. Offsets are those in it. */
interface Run {
  readonly data: Buffer;
  readonly files: {
    readonly layer: number;
    readonly ordinal: number;
    readonly packed: PackedFile;
  }[];
  used: number;
}
