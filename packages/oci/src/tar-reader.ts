import { ByteReader, UnexpectedEndError } from './byte-reader.ts';
import type { EntryWithContent } from './entry.ts';
import { padding } from './tar-header.ts';
import { TarHeaderReader, type TarLimits } from './tar-header-reader.ts';

/** `content` may be read until the next entry is asked for; what is not read is skipped. */
export type TarEntry = EntryWithContent;

/**
 * The entries of a tar archive: ustar, GNU (long names, base-256 numbers) and PAX (global and local headers), names
 * and extended attributes byte for byte.
 *
 * Paths are normalised: `./a//b/` and `/a/b` are `a/b`. The source is read to its end, past the end of the archive, so
 * that a check of the whole source takes place. An archive may lack its end blocks, as many do.
 * @throws LktError ARCHIVE_INVALID for a broken archive, a path with `..`, or a passed limit; UNSUPPORTED for sparse
 * files and types of entry that only one tar program knows.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  const headers = new TarHeaderReader(reader, limits);
  try {
    for (;;) {
      const entry = await headers.next();
      if (entry === undefined) break;
      if (entry.size === 0) {
        yield entry;
        continue;
      }
      const content = new Content(reader, headers, entry.size);
      yield { ...entry, content };
      await content.finish();
    }
    await reader.drain();
    headers.checkLength();
  } catch (error) {
    throw error instanceof UnexpectedEndError ? headers.error('is cut off') : error;
  } finally {
    await reader.close();
  }
}

class Content implements AsyncIterable<Uint8Array> {
  readonly #reader: ByteReader;
  readonly #headers: TarHeaderReader;
  readonly #padding: number;
  #missing: number;
  #state: 'unread' | 'reading' | 'finished' = 'unread';

  constructor(reader: ByteReader, headers: TarHeaderReader, size: number) {
    this.#reader = reader;
    this.#headers = headers;
    this.#missing = size;
    this.#padding = padding(size);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#state !== 'unread')
      throw new Error('the content of a tar entry can be read once, before the next entry');
    this.#state = 'reading';
    while (this.#missing > 0) {
      const part = await this.#reader.take(this.#missing);
      if (part === undefined) throw this.#headers.error('is cut off');
      this.#headers.checkLength();
      this.#missing -= part.length;
      yield part;
    }
  }

  async finish(): Promise<void> {
    this.#state = 'finished';
    const missing = this.#missing + this.#padding;
    this.#missing = 0;
    await this.#reader.skip(missing);
    this.#headers.checkLength();
  }
}
