import { packer } from '../bytes/pack.ts';
import type { BlockCompressor } from './compressor.ts';

/** Size of an uncompressed metadata block. */
const BLOCK_SIZE = 8192;
/** Flag in the size of a block. */
export const UNCOMPRESSED_METADATA = 0x8000;
const blockSize = packer('<H');

/** A location in a metadata table. */
export interface MetadataLocation {
  /** Offset of the block in the table. */
  readonly block: number;
  /** Offset in the uncompressed block. */
  readonly offset: number;
}

/** Returns a location as one number, as other tables store it. */
export function positionOf({ block, offset }: MetadataLocation): number {
  return block * 0x1_0000 + offset;
}

/** A metadata table: compressed blocks of 8 KiB, each preceded by its size. */
export class MetadataWriter {
  readonly #compress: BlockCompressor['compress'];
  readonly #blocks: Buffer[] = [];
  readonly #starts: number[] = [];
  readonly #current = Buffer.alloc(BLOCK_SIZE);
  #used = 0;
  #size = 0;

  constructor({ compress }: BlockCompressor) {
    this.#compress = compress;
  }

  /** The location of the next write. */
  get location(): MetadataLocation {
    if (this.#used === BLOCK_SIZE) this.#flush();
    return { block: this.#size, offset: this.#used };
  }

  write(data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      if (this.#used === BLOCK_SIZE) this.#flush();
      const part = data.subarray(done, done + BLOCK_SIZE - this.#used);
      this.#current.set(part, this.#used);
      this.#used += part.length;
      done += part.length;
    }
  }

  /** Returns the whole table, and the offsets of its blocks. */
  end(): { readonly bytes: Buffer; readonly starts: readonly number[] } {
    if (this.#used > 0) this.#flush();
    return { bytes: Buffer.concat(this.#blocks), starts: this.#starts };
  }

  #flush(): void {
    const plain = this.#current.subarray(0, this.#used);
    const compressed = this.#compress?.sync(plain) ?? plain;
    const isPlain = compressed.length >= plain.length;
    const body = isPlain ? plain : compressed;
    const head = blockSize(body.length | (isPlain ? UNCOMPRESSED_METADATA : 0));
    this.#blocks.push(head, Buffer.from(body));
    this.#starts.push(this.#size);
    this.#size += 2 + body.length;
    this.#used = 0;
  }
}
