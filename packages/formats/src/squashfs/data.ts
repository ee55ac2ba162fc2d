import { createHash, hash } from 'node:crypto';
import { blocksOf } from '../bytes/blocks.ts';
import type { FileContent, FileGroup, Inode } from '../file-system/file-system.ts';
import type { BlockCompressor } from './compressor.ts';

/** Block size of file data. */
export const BLOCK_SIZE = 131_072;
const UNCOMPRESSED_FLAG = 2 ** 24;
/** Number of blocks that are compressed in parallel and wait to be written. */
const MAX_PENDING = 8;
/**
 * Maximum size of compressed blocks that wait until a possible duplicate is decided. Longer files
 * are written.
 */
const MAX_HELD_BYTES = 2 ** 25;

/** The location of a file's content. */
export interface FileLocation {
  start: number;
  /** Stored sizes of the blocks, with a flag for uncompressed ones; 0 for a block of zeros. */
  readonly blocks: number[];
  /** Bytes of blocks that are not stored because they are zero. */
  sparse: number;
  readonly fragment?: { readonly index: number; readonly offset: number };
}

/** A fragment block: its offset, and its stored size with the flag. */
export interface Fragment {
  start: number;
  size: number;
}

/**
 * Writes the contents of files in blocks of 128 KiB; shorter files share blocks, the fragments.
 * Stores equal contents once, except very long ones.
 */
export class DataWriter {
  readonly locations: Map<Inode, FileLocation> = new Map();
  readonly fragments: Fragment[] = [];
  readonly #compressor: BlockCompressor;
  readonly #short = new Map<string, FileLocation>();
  readonly #long = new Map<string, FileLocation>();
  /** Keys of written files: their length and the hash of their first block. */
  readonly #begun = new Set<string>();
  readonly #pending: Promise<CompressedBlock>[] = [];
  #fragment = Buffer.allocUnsafe(BLOCK_SIZE);
  #fragmentUsed = 0;
  #at: number;

  /** @param at offset of the first block */
  constructor(compressor: BlockCompressor, at: number) {
    this.#compressor = compressor;
    this.#at = at;
  }

  /** The end of the last block. */
  get end(): number {
    return this.#at;
  }

  async *write(contents: AsyncIterable<FileContent>): AsyncGenerator<Uint8Array> {
    for await (const { files, data } of contents) {
      if (files[0].size < BLOCK_SIZE) yield* this.#addShort(files, data);
      else yield* this.#addLong(files, data);
    }
    if (this.#fragmentUsed > 0) this.#endFragment();
    yield* this.#writePending(0);
  }

  async *#addShort(files: FileGroup, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of data) parts.push(Uint8Array.from(part));
    const content = Buffer.concat(parts);
    const key = hash('sha256', content);
    let location = this.#short.get(key);
    if (location === undefined) {
      if (this.#fragmentUsed + content.length > BLOCK_SIZE) this.#endFragment();
      const fragment = { index: this.fragments.length, offset: this.#fragmentUsed };
      content.copy(this.#fragment, this.#fragmentUsed);
      this.#fragmentUsed += content.length;
      location = { start: 0, blocks: [], sparse: 0, fragment };
      this.#short.set(key, location);
    }
    this.#note(files, location);
    yield* this.#writePending(MAX_PENDING);
  }

  async *#addLong(files: FileGroup, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const digest = createHash('sha256');
    const location: FileLocation = { start: -1, blocks: [], sparse: 0 };
    let held: CompressedBlock[] | undefined;
    let heldSize = 0;
    let first: string | undefined;
    for await (const block of blocksOf(data, BLOCK_SIZE)) {
      digest.update(block);
      if (first === undefined) {
        first = `${files[0].size} ${hash('sha256', block)}`;
        if (this.#begun.has(first)) held = [];
      }
      const compressing = this.#compress(block, (compressed) => {
        if (location.start < 0) location.start = this.#at;
        location.blocks.push(compressed.word);
        if (compressed.word === 0) location.sparse += block.length;
      });
      if (held === undefined) {
        this.#pending.push(compressing);
        yield* this.#writePending(MAX_PENDING);
        continue;
      }
      const compressed = await compressing;
      held.push(compressed);
      heldSize += compressed.bytes.length;
      if (heldSize <= MAX_HELD_BYTES) continue;
      this.#release(held);
      held = undefined;
      yield* this.#writePending(MAX_PENDING);
    }
    const key = digest.digest('hex');
    const same = held === undefined ? undefined : this.#long.get(key);
    if (same === undefined && held !== undefined) this.#release(held);
    yield* this.#writePending(MAX_PENDING);
    if (first !== undefined) this.#begun.add(first);
    if (same === undefined) this.#long.set(key, location);
    this.#note(files, same ?? location);
  }

  /** Decides to write blocks. */
  #release(held: readonly CompressedBlock[]): void {
    for (const block of held) this.#pending.push(Promise.resolve(block));
  }

  #note(files: FileGroup, location: FileLocation): void {
    for (const inode of files) this.locations.set(inode, location);
  }

  #endFragment(): void {
    const fragment = { start: 0, size: 0 };
    this.fragments.push(fragment);
    const block = this.#fragment.subarray(0, this.#fragmentUsed);
    this.#pending.push(
      this.#compress(
        block,
        ({ word }) => {
          fragment.start = this.#at;
          fragment.size = word;
        },
        false,
      ),
    );
    this.#fragment = Buffer.allocUnsafe(BLOCK_SIZE);
    this.#fragmentUsed = 0;
  }

  async #compress(
    block: Buffer,
    onWrite: (compressed: CompressedBlock) => void,
    canBeSparse = true,
  ): Promise<CompressedBlock> {
    if (canBeSparse && ZEROS.subarray(0, block.length).equals(block))
      return { bytes: NOTHING, word: 0, onWrite };
    const compressed = (await this.#compressor.compress?.async(block)) ?? block;
    return compressed.length < block.length
      ? { bytes: compressed, word: compressed.length, onWrite }
      : { bytes: block, word: block.length | UNCOMPRESSED_FLAG, onWrite };
  }

  /** Writes pending blocks until at most `limit` wait. */
  async *#writePending(limit: number): AsyncGenerator<Uint8Array> {
    while (this.#pending.length > limit) {
      const compressed = await this.#pending.shift();
      if (compressed === undefined) continue;
      compressed.onWrite(compressed);
      this.#at += compressed.bytes.length;
      if (compressed.bytes.length > 0) yield compressed.bytes;
    }
  }
}

interface CompressedBlock {
  readonly bytes: Uint8Array;
  /** Its stored size, with the flag. */
  readonly word: number;
  /** Called when the block is written at the current end. */
  readonly onWrite: (compressed: CompressedBlock) => void;
}

const ZEROS = Buffer.alloc(BLOCK_SIZE);
/** Keeps no block in memory. */
const NOTHING = Buffer.alloc(0);
