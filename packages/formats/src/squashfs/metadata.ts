import type { BlockCompressor } from './compressor.ts';

/** Of metadata, before it is packed. */
const BLOCK = 8192;
const IS_PLAIN = 0x8000;

/** Where something is in a table. */
export interface MetadataPlace {
  /** The beginning of its block, from that of the table. */
  readonly block: number;
  /** In the block, unpacked. */
  readonly offset: number;
}

/** A table of a squashfs in packed blocks of 8 KiB, each with its length in front. */
export class MetadataWriter {
  readonly #pack: BlockCompressor['pack'];
  readonly #blocks: Buffer[] = [];
  readonly #starts: number[] = [];
  readonly #current = Buffer.alloc(BLOCK);
  #used = 0;
  #size = 0;

  constructor({ pack }: BlockCompressor) {
    this.#pack = pack;
  }

  /** Where what is written next will be. */
  get place(): MetadataPlace {
    if (this.#used === BLOCK) this.#flush();
    return { block: this.#size, offset: this.#used };
  }

  write(data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      if (this.#used === BLOCK) this.#flush();
      const part = data.subarray(done, done + BLOCK - this.#used);
      this.#current.set(part, this.#used);
      this.#used += part.length;
      done += part.length;
    }
  }

  /** The whole table, and where each of its blocks begins. */
  end(): { readonly bytes: Buffer; readonly starts: readonly number[] } {
    if (this.#used > 0) this.#flush();
    return { bytes: Buffer.concat(this.#blocks), starts: this.#starts };
  }

  #flush(): void {
    const plain = this.#current.subarray(0, this.#used);
    const packed = this.#pack?.now(plain) ?? plain;
    const isPlain = packed.length >= plain.length;
    const head = Buffer.alloc(2);
    const body = isPlain ? Buffer.from(plain) : packed;
    head.writeUInt16LE(body.length | (isPlain ? IS_PLAIN : 0));
    this.#blocks.push(head, Buffer.from(body));
    this.#starts.push(this.#size);
    this.#size += 2 + body.length;
    this.#used = 0;
  }
}
