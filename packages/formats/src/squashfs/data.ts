import { createHash } from 'node:crypto';
import { blocksOf } from '../bytes/blocks.ts';
import type { FileContent, FileGroup, Inode } from '../file-system/file-system.ts';
import type { BlockCompressor } from './compressor.ts';

/** Of a file; the longest that is packed at once. */
export const BLOCK = 131_072;
const IS_PLAIN = 2 ** 24;
/** How many blocks are packed at once, and wait to be written. */
const MAX_PENDING = 8;
/** Packed blocks of a file that may be the same as another, which wait until it is known; one that has more is written. */
const MAX_HELD_BYTES = 2 ** 25;

/** Where the content of a file is. */
export interface FilePlace {
  start: number;
  /** Of its blocks as they are stored, with the mark of those that are not packed; 0 is a block of zeros. */
  readonly blocks: number[];
  /** Bytes that are in no block because they are zeros. */
  sparse: number;
  readonly fragment?: { readonly index: number; readonly offset: number };
}

export interface Fragment {
  start: number;
  size: number;
}

/**
 * The contents of files in blocks of 128 KiB; those of files that are shorter share blocks, the fragments. A content is
 * there once, whatever it was read from, unless it is very long.
 */
export class DataWriter {
  readonly places: Map<Inode, FilePlace> = new Map();
  readonly fragments: Fragment[] = [];
  readonly #compressor: BlockCompressor;
  readonly #short = new Map<string, FilePlace>();
  readonly #long = new Map<string, FilePlace>();
  /** Of files that are written, by their length and first block. */
  readonly #begun = new Set<string>();
  readonly #pending: Promise<Packed>[] = [];
  #fragment = Buffer.allocUnsafe(BLOCK);
  #fragmentUsed = 0;
  #at: number;

  /** @param at where the first block goes */
  constructor(compressor: BlockCompressor, at: number) {
    this.#compressor = compressor;
    this.#at = at;
  }

  /** Where the last block ended. */
  get end(): number {
    return this.#at;
  }

  async *write(contents: AsyncIterable<FileContent>): AsyncGenerator<Uint8Array> {
    for await (const { files, data } of contents) {
      if (files[0].size < BLOCK) yield* this.#addShort(files, data);
      else yield* this.#addLong(files, data);
    }
    if (this.#fragmentUsed > 0) this.#endFragment();
    yield* this.#settle(0);
  }

  async *#addShort(files: FileGroup, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of data) parts.push(Uint8Array.from(part));
    const content = Buffer.concat(parts);
    const key = hash(content);
    let place = this.#short.get(key);
    if (place === undefined) {
      if (this.#fragmentUsed + content.length > BLOCK) this.#endFragment();
      const fragment = { index: this.fragments.length, offset: this.#fragmentUsed };
      content.copy(this.#fragment, this.#fragmentUsed);
      this.#fragmentUsed += content.length;
      place = { start: 0, blocks: [], sparse: 0, fragment };
      this.#short.set(key, place);
    }
    this.#note(files, place);
    yield* this.#settle(MAX_PENDING);
  }

  async *#addLong(files: FileGroup, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const digest = createHash('sha256');
    const place: FilePlace = { start: -1, blocks: [], sparse: 0 };
    let held: Packed[] | undefined;
    let heldSize = 0;
    let first: string | undefined;
    for await (const block of blocksOf(data, BLOCK)) {
      digest.update(block);
      if (first === undefined) {
        first = `${files[0].size} ${hash(block)}`;
        if (this.#begun.has(first)) held = [];
      }
      const packing = this.#pack(block, (packed) => {
        if (place.start < 0) place.start = this.#at;
        place.blocks.push(packed.word);
        if (packed.word === 0) place.sparse += block.length;
      });
      if (held === undefined) {
        this.#pending.push(packing);
        yield* this.#settle(MAX_PENDING);
        continue;
      }
      const packed = await packing;
      held.push(packed);
      heldSize += packed.bytes.length;
      if (heldSize <= MAX_HELD_BYTES) continue;
      this.#pending.push(...held.map((one) => Promise.resolve(one)));
      held = undefined;
      yield* this.#settle(MAX_PENDING);
    }
    const key = digest.digest('hex');
    const same = held === undefined ? undefined : this.#long.get(key);
    if (same === undefined && held !== undefined)
      this.#pending.push(...held.map((one) => Promise.resolve(one)));
    yield* this.#settle(MAX_PENDING);
    if (first !== undefined) this.#begun.add(first);
    if (same === undefined) this.#long.set(key, place);
    this.#note(files, same ?? place);
  }

  #note(files: FileGroup, place: FilePlace): void {
    for (const inode of files) this.places.set(inode, place);
  }

  #endFragment(): void {
    const fragment = { start: 0, size: 0 };
    this.fragments.push(fragment);
    const block = this.#fragment.subarray(0, this.#fragmentUsed);
    this.#pending.push(
      this.#pack(
        block,
        ({ word }) => {
          fragment.start = this.#at;
          fragment.size = word;
        },
        false,
      ),
    );
    this.#fragment = Buffer.allocUnsafe(BLOCK);
    this.#fragmentUsed = 0;
  }

  async #pack(block: Buffer, place: (packed: Packed) => void, canBeSparse = true): Promise<Packed> {
    if (canBeSparse && ZEROS.subarray(0, block.length).equals(block))
      return { bytes: block.subarray(0, 0), word: 0, place };
    const packed = (await this.#compressor.pack?.soon(block)) ?? block;
    return packed.length < block.length
      ? { bytes: packed, word: packed.length, place }
      : { bytes: block, word: block.length | IS_PLAIN, place };
  }

  /** Writes what is packed, until so many wait. */
  async *#settle(most: number): AsyncGenerator<Uint8Array> {
    while (this.#pending.length > most) {
      const packed = await this.#pending.shift();
      if (packed === undefined) continue;
      packed.place(packed);
      this.#at += packed.bytes.length;
      if (packed.bytes.length > 0) yield packed.bytes;
    }
  }
}

interface Packed {
  readonly bytes: Uint8Array;
  /** Its length with the mark. */
  readonly word: number;
  /** Is told where it is: at the current end. */
  readonly place: (packed: Packed) => void;
}

const ZEROS = Buffer.alloc(BLOCK);

function hash(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
