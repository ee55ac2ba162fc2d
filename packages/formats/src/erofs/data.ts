import { hash } from 'node:crypto';
import { blocksOf } from '../bytes/blocks.ts';
import type { ErofsCompressor } from './compressor.ts';
import { packedIndex, packedIndexSize, type StoredChunk } from './cluster-index.ts';
import { BLOCK, CHUNK, headSize, InodeArea, type InodeContent, LAYOUT } from './inode.ts';
import type { FileContent, FileGroup, Inode } from '../file-system/file-system.ts';

const BLOCKS_PER_CHUNK = CHUNK / BLOCK;
/** How many chunks are packed at once, and wait to be written. */
const MAX_PENDING = 8;
/** How much inodes take, with the short contents that are in them, before they are written. */
const MAX_HELD_INODE_BYTES = 2 ** 18;

/** A content of which all but its tail is in chunks. */
interface Chunked {
  readonly files: FileGroup;
  readonly chunks: readonly StoredChunk[];
  readonly last: Buffer;
  /** How many of its last bytes are in no chunk, unless that is packed: they go behind the inode. */
  readonly tail: number;
}

/**
 * The contents of files in chunks of 128 KiB, of which each is there once, and between them the inodes of the files,
 * which have behind them what is less than a block.
 */
export class DataWriter {
  /** What the inodes that are written are called. */
  readonly numbers: Map<Inode, number> = new Map();
  /** Whether there are files whose chunks are in several places. */
  hasChunks = false;
  /** Whether there are packed chunks that are in several files. */
  hasShared = false;
  readonly #packing: ErofsCompressor['packing'];
  readonly #known = new Map<string, StoredChunk>();
  readonly #pending: (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>)[] = [];
  readonly #inodes = new InodeArea();
  #at: number;

  /** @param at the block with which it begins */
  constructor({ packing }: ErofsCompressor, at: number) {
    this.#packing = packing;
    this.#at = at;
  }

  /** The block after the last. */
  get end(): number {
    return this.#at;
  }

  /** An inode that is no file with content, and no directory. */
  *add(inode: Inode): Generator<Uint8Array> {
    const data = Buffer.from(inode.link ?? '', 'latin1');
    const size = data.length;
    if (size === 0) {
      this.#inodes.add(inode, { layout: LAYOUT.plain, size, word: deviceOf(inode) });
    } else if (headSize(inode, size) + size <= BLOCK) {
      this.#inodes.add(inode, { layout: LAYOUT.inline, size, word: 0, body: data });
    } else {
      this.#inodes.add(inode, { layout: LAYOUT.plain, size, word: this.#at });
      yield* this.#put(padded(data));
    }
    yield* this.#putInodes(MAX_HELD_INODE_BYTES);
  }

  async *write(contents: AsyncIterable<FileContent>): AsyncGenerator<Uint8Array> {
    for await (const { files, data } of contents) {
      const [{ size }] = files;
      const isAlone = this.#packing !== undefined && size <= CHUNK;
      let tail = this.#packing === undefined || isAlone ? tailOf(files) : 0;
      const chunks: StoredChunk[] = [];
      let last: Buffer = Buffer.alloc(0);
      for await (const block of blocksOf(data, CHUNK)) {
        last = block;
        const isLast = chunks.length + 1 === Math.ceil(size / CHUNK);
        if (isLast && chunks.length > 0 && tail > 0) {
          yield* this.#settle(0);
          if (!this.#goesBehind(chunks, block.subarray(0, block.length - tail))) tail = 0;
        }
        chunks.push(this.#chunk(block, isLast ? tail : 0, isAlone));
        yield* this.#settle(MAX_PENDING);
      }
      const content = { files, chunks, last, tail };
      this.#pending.push(() => this.#addFiles(content));
    }
    yield* this.#settle(0);
    yield* this.#putInodes(0);
  }

  /** Whether what would be the next chunk goes, or is, right behind the others. */
  #goesBehind(chunks: readonly StoredChunk[], plain: Buffer): boolean {
    if (plain.length === 0) return isInOnePlace(chunks);
    const start = this.#known.get(chunkKey(plain, plain.length, false))?.start ?? this.#at;
    return isInOnePlace([...chunks, { ...TAIL_ALONE, start }]);
  }

  /** @param isAlone whether it is all of a content, which then is packed only if that is less with its index */
  #chunk(block: Buffer, tail: number, isAlone: boolean): StoredChunk {
    const plain = block.subarray(0, block.length - tail);
    if (plain.length === 0) return TAIL_ALONE;
    const key = chunkKey(this.#packing === undefined ? plain : block, plain.length, isAlone);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.hasShared = true;
      return known;
    }
    const chunk = { start: 0, blocks: 0, isPacked: false };
    this.#known.set(key, chunk);
    const whole = toBlock(plain.length);
    const packing = this.#pack(
      block,
      isAlone ? whole + tail - packedIndexSize(block.length) : whole - 1,
    );
    packing.catch(() => undefined);
    this.#pending.push(
      async function* (this: DataWriter) {
        const packed = await packing;
        const bytes = packed ?? padded(plain);
        const { length } = bytes;
        Object.assign(chunk, {
          start: this.#at,
          blocks: length / BLOCK,
          isPacked: packed !== undefined,
        });
        yield* this.#put(bytes);
      }.bind(this),
    );
    return chunk;
  }

  /** In whole blocks, with zeros in front; undefined if that is more than so many bytes. */
  async #pack(block: Buffer, most: number): Promise<Buffer | undefined> {
    const packed = await this.#packing?.pack(block);
    // Where the zeros in front end, what is packed begins.
    if (packed === undefined || packed[0] === 0) return undefined;
    const size = toBlock(packed.length);
    if (size > most) return undefined;
    const bytes = Buffer.alloc(size);
    bytes.set(packed, size - packed.length);
    return bytes;
  }

  *#addFiles(content: Chunked): Generator<Uint8Array> {
    const { files, chunks } = content;
    const isFlat = isInOnePlace(chunks);
    for (const inode of files) {
      this.#inodes.add(inode, isFlat ? flat(content) : this.#inPieces(inode, chunks));
      yield* this.#putInodes(MAX_HELD_INODE_BYTES);
    }
  }

  #inPieces(inode: Inode, chunks: readonly StoredChunk[]): InodeContent {
    const { size } = inode;
    if (this.#packing === undefined) {
      this.hasChunks = true;
      const body = Buffer.alloc(4 * chunks.length);
      for (const [index, { start }] of chunks.entries()) body.writeUInt32LE(start, 4 * index);
      return { layout: LAYOUT.chunks, size, word: Math.log2(BLOCKS_PER_CHUNK), body };
    }
    const { algorithm } = this.#packing;
    const how = { size, chunkSize: CHUNK, algorithm };
    const word = chunks.reduce((sum, { blocks }) => sum + blocks, 0);
    const body = packedIndex(chunks, how, headSize(inode, size));
    return { layout: LAYOUT.packed, size, word, body };
  }

  /** Writes what is packed, until so many wait. */
  async *#settle(most: number): AsyncGenerator<Uint8Array> {
    while (this.#pending.length > most) {
      const next = this.#pending.shift();
      if (next !== undefined) yield* next();
    }
  }

  /** Writes the inodes if they are more than so many bytes. */
  *#putInodes(most: number): Generator<Uint8Array> {
    if (this.#inodes.size > most)
      yield* this.#put(this.#inodes.flush(this.#at * BLOCK, this.numbers));
  }

  *#put(bytes: Buffer): Generator<Uint8Array> {
    this.#at += bytes.length / BLOCK;
    yield bytes;
  }
}

/** A chunk that is all tail. */
const TAIL_ALONE: StoredChunk = { start: 0, blocks: 0, isPacked: false };

/** What of a content is less than a block, if it fits behind each of the inodes. */
function tailOf(files: FileGroup): number {
  const tail = files[0].size % BLOCK;
  return files.every((inode) => headSize(inode, inode.size) + tail <= BLOCK) ? tail : 0;
}

/** Whether all but the tail is stored in a row, as it is. */
function isInOnePlace(chunks: readonly StoredChunk[]): boolean {
  const [first = TAIL_ALONE] = chunks;
  return chunks.every(
    (chunk, index) =>
      chunk === TAIL_ALONE ||
      (!chunk.isPacked && chunk.start === first.start + index * BLOCKS_PER_CHUNK),
  );
}

function flat({ files, chunks, last, tail }: Chunked): InodeContent {
  const [{ size }] = files;
  const word = chunks[0]?.start ?? 0;
  if (tail === 0) return { layout: LAYOUT.plain, size, word };
  return { layout: LAYOUT.inline, size, word, body: last.subarray(last.length - tail) };
}

/** What `stat` calls the device, as Linux packs it. */
function deviceOf({ type, devMajor = 0, devMinor = 0 }: Inode): number {
  if (type !== 'char' && type !== 'block') return 0;
  return ((devMinor & 0xff) | (devMajor << 8) | ((devMinor & ~0xff) << 12)) >>> 0;
}

function toBlock(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data], toBlock(data.length));
}

function chunkKey(data: Uint8Array, plain: number, isAlone: boolean): string {
  return `${hash('sha256', data, 'base64')} ${plain} ${isAlone}`;
}
