import { ByteReader, UnexpectedEndError } from '../io/byte-reader.ts';
import type { EntryWithContent } from './entry.ts';
import { padding } from './tar-header.ts';
import { TarHeaderReader, type TarLimits } from './tar-header-reader.ts';

/**
 * An entry whose `content` is readable until the next entry is requested; the rest of it is
 * skipped.
 */
export type TarEntry = EntryWithContent;

/**
 * Yields the entries of a tar archive: ustar, GNU (long names, base-256 numbers) and PAX (global
 * and local headers), with names and extended attributes byte for byte.
 *
 * Normalizes paths: `./a//b/` and `/a/b` become `a/b`. Reads the source to its end, beyond the end
 * of the archive, so that a check of the whole source runs. The end blocks may be missing, as in
 * many archives.
 * @throws ARCHIVE_INVALID for a malformed archive, a path with `..`, or a limit exceeded;
 * UNSUPPORTED for sparse files and entry types of a single tar program
 * @example
 * ```ts
 * for await (const { path, content } of readTar(source))
 *   if (path === 'etc/motd') for await (const chunk of content ?? []) use(chunk);
 * ```
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
    // To its end, where the source verifies its content.
    for await (const part of reader.rest()) void part;
    headers.checkLength();
  } catch (error) {
    throw error instanceof UnexpectedEndError ? headers.error('is truncated') : error;
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
      if (part === undefined) throw this.#headers.error('is truncated');
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
