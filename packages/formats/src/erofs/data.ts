import { hash } from 'node:crypto';
import { blocksOf } from '../bytes/blocks.ts';
import { roundUp } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';
import type { ErofsCompressor } from './compressor.ts';
import { compressedIndex, compressedIndexSize, type StoredChunk } from './cluster-index.ts';
import { BLOCK_SIZE, CHUNK_SIZE, headSize, InodeArea, type InodeContent, LAYOUT } from './inode.ts';
import {
  deviceNumber,
  type FileContent,
  type FileGroup,
  type Inode,
} from '../file-system/file-system.ts';

const blockNumber = packer('<I');
const BLOCKS_PER_CHUNK = CHUNK_SIZE / BLOCK_SIZE;
/** Number of chunks that are compressed in parallel and wait to be written. */
const MAX_PENDING = 8;
/** Maximum size of inodes, with short contents inside them, that wait to be written. */
const MAX_HELD_INODE_BYTES = 2 ** 18;

/** A content in chunks, except its tail. */
interface Chunked {
  readonly files: FileGroup;
  readonly chunks: readonly StoredChunk[];
  readonly last: Buffer;
  /**
   * Number of last bytes outside of the chunks: they follow the inode, unless the last chunk is
   * compressed.
   */
  readonly tail: number;
}

/**
 * Writes the contents of files in chunks of 128 KiB, each distinct chunk once. Inodes are written
 * between them, followed by their content's tail of less than a block.
 */
export class DataWriter {
  /** The erofs numbers of the written inodes. */
  readonly numbers: Map<Inode, number> = new Map();
  /** Whether some files have chunks that are not contiguous. */
  hasChunks = false;
  /** Whether several files share compressed chunks. */
  hasShared = false;
  readonly #compression: ErofsCompressor['compression'];
  readonly #known = new Map<string, StoredChunk>();
  readonly #pending: (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>)[] = [];
  readonly #inodes = new InodeArea();
  #at: number;

  /** @param at the first block */
  constructor({ compression }: ErofsCompressor, at: number) {
    this.#compression = compression;
    this.#at = at;
  }

  /** The block after the last one written. */
  get end(): number {
    return this.#at;
  }

  /** Adds an inode that is neither a directory nor a file with content. */
  *add(inode: Inode): Generator<Uint8Array> {
    const data = Buffer.from(inode.link ?? '', 'latin1');
    const size = data.length;
    if (size === 0) {
      this.#inodes.add(inode, { layout: LAYOUT.flat, size, word: deviceNumber(inode) });
    } else if (headSize(inode, size) + size <= BLOCK_SIZE) {
      this.#inodes.add(inode, { layout: LAYOUT.inline, size, word: 0, body: data });
    } else {
      this.#inodes.add(inode, { layout: LAYOUT.flat, size, word: this.#at });
      yield* this.#put(padded(data));
    }
    yield* this.#putInodes(MAX_HELD_INODE_BYTES);
  }

  async *write(contents: AsyncIterable<FileContent>): AsyncGenerator<Uint8Array> {
    for await (const { files, data } of contents) {
      const [{ size }] = files;
      const isAlone = this.#compression !== undefined && size <= CHUNK_SIZE;
      let tail = this.#compression === undefined || isAlone ? tailOf(files) : 0;
      const chunks: StoredChunk[] = [];
      let last: Buffer = Buffer.alloc(0);
      for await (const block of blocksOf(data, CHUNK_SIZE)) {
        last = block;
        const isLast = chunks.length + 1 === Math.ceil(size / CHUNK_SIZE);
        if (isLast && chunks.length > 0 && tail > 0) {
          yield* this.#writePending(0);
          if (!this.#isContiguousWith(chunks, block.subarray(0, block.length - tail))) tail = 0;
        }
        chunks.push(this.#chunk(block, isLast ? tail : 0, isAlone));
        yield* this.#writePending(MAX_PENDING);
      }
      const content = { files, chunks, last, tail };
      this.#pending.push(() => this.#addFiles(content));
    }
    yield* this.#writePending(0);
    yield* this.#putInodes(0);
  }

  /** Reports whether the next chunk is, or would be, contiguous with the others. */
  #isContiguousWith(chunks: readonly StoredChunk[], plain: Buffer): boolean {
    if (plain.length === 0) return isContiguous(chunks);
    const start = this.#known.get(chunkKey(plain, plain.length, false))?.start ?? this.#at;
    return isContiguous([...chunks, { ...TAIL_ALONE, start }]);
  }

  /**
   * @param isAlone whether the chunk is the whole content; it is compressed only if that saves more
   * than the size of its index
   */
  #chunk(block: Buffer, tail: number, isAlone: boolean): StoredChunk {
    const plain = block.subarray(0, block.length - tail);
    if (plain.length === 0) return TAIL_ALONE;
    const key = chunkKey(this.#compression === undefined ? plain : block, plain.length, isAlone);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.hasShared = true;
      return known;
    }
    const chunk = { start: 0, blocks: 0, isCompressed: false };
    this.#known.set(key, chunk);
    const whole = roundUp(plain.length, BLOCK_SIZE);
    const compressing = this.#compress(
      block,
      isAlone ? whole + tail - compressedIndexSize(block.length) : whole - 1,
    );
    compressing.catch(() => undefined);
    this.#pending.push(() => this.#writeChunk(chunk, compressing, plain));
    return chunk;
  }

  async *#writeChunk(
    chunk: StoredChunk,
    compressing: Promise<Buffer | undefined>,
    plain: Buffer,
  ): AsyncGenerator<Uint8Array> {
    const compressed = await compressing;
    const bytes = compressed ?? padded(plain);
    const isCompressed = compressed !== undefined;
    Object.assign(chunk, { start: this.#at, blocks: bytes.length / BLOCK_SIZE, isCompressed });
    yield* this.#put(bytes);
  }

  /**
   * Compresses to whole blocks, with zeros in front; undefined if the result is longer than
   * `maxBytes`.
   */
  async #compress(block: Buffer, maxBytes: number): Promise<Buffer | undefined> {
    const compressed = await this.#compression?.compress(block);
    // The compressed data begins at the first non-zero byte.
    if (compressed === undefined || compressed[0] === 0) return undefined;
    const size = roundUp(compressed.length, BLOCK_SIZE);
    if (size > maxBytes) return undefined;
    const bytes = Buffer.alloc(size);
    bytes.set(compressed, size - compressed.length);
    return bytes;
  }

  *#addFiles(content: Chunked): Generator<Uint8Array> {
    const { files, chunks } = content;
    const isFlat = isContiguous(chunks);
    for (const inode of files) {
      this.#inodes.add(inode, isFlat ? flat(content) : this.#scattered(inode, chunks));
      yield* this.#putInodes(MAX_HELD_INODE_BYTES);
    }
  }

  #scattered(inode: Inode, chunks: readonly StoredChunk[]): InodeContent {
    const { size } = inode;
    if (this.#compression === undefined) {
      this.hasChunks = true;
      const body = Buffer.concat(chunks.map(({ start }) => blockNumber(start)));
      return { layout: LAYOUT.chunks, size, word: Math.log2(BLOCKS_PER_CHUNK), body };
    }
    const { algorithm } = this.#compression;
    const how = { size, chunkSize: CHUNK_SIZE, algorithm };
    const word = chunks.reduce((sum, { blocks }) => sum + blocks, 0);
    const body = compressedIndex(chunks, how, headSize(inode, size));
    return { layout: LAYOUT.compressed, size, word, body };
  }

  /** Writes pending chunks until at most `maxPending` wait. */
  async *#writePending(maxPending: number): AsyncGenerator<Uint8Array> {
    while (this.#pending.length > maxPending) {
      const next = this.#pending.shift();
      if (next !== undefined) yield* next();
    }
  }

  /** Writes the waiting inodes if they exceed `maxBytes` bytes. */
  *#putInodes(maxBytes: number): Generator<Uint8Array> {
    if (this.#inodes.size > maxBytes)
      yield* this.#put(this.#inodes.flush(this.#at * BLOCK_SIZE, this.numbers));
  }

  *#put(bytes: Buffer): Generator<Uint8Array> {
    this.#at += bytes.length / BLOCK_SIZE;
    yield bytes;
  }
}

/** A chunk that is all tail. */
const TAIL_ALONE: StoredChunk = { start: 0, blocks: 0, isCompressed: false };

/** Returns the length of the content's tail if it fits after each of the inodes, else 0. */
function tailOf(files: FileGroup): number {
  const tail = files[0].size % BLOCK_SIZE;
  return files.every((inode) => headSize(inode, inode.size) + tail <= BLOCK_SIZE) ? tail : 0;
}

/** Reports whether the content except its tail is contiguous and uncompressed. */
function isContiguous(chunks: readonly StoredChunk[]): boolean {
  const [first = TAIL_ALONE] = chunks;
  return chunks.every(
    (chunk, index) =>
      chunk === TAIL_ALONE ||
      (!chunk.isCompressed && chunk.start === first.start + index * BLOCKS_PER_CHUNK),
  );
}

function flat({ files, chunks, last, tail }: Chunked): InodeContent {
  const [{ size }] = files;
  const word = chunks[0]?.start ?? 0;
  if (tail === 0) return { layout: LAYOUT.flat, size, word };
  return { layout: LAYOUT.inline, size, word, body: last.subarray(last.length - tail) };
}

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data], roundUp(data.length, BLOCK_SIZE));
}

function chunkKey(data: Uint8Array, plain: number, isAlone: boolean): string {
  return `${hash('sha256', data, 'base64')} ${plain} ${isAlone}`;
}
