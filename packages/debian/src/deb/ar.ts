import { LktError } from '@lkt/core';

/** A member of an ar archive. Read or skip its content before requesting the next member. */
export interface ArMember {
  readonly name: string;
  readonly size: number;
  readonly content: AsyncIterable<Uint8Array>;
}

const MAGIC = '!<arch>\n';
const HEADER = 60;

/**
 * Reads the ar format as restricted by deb(5): short names, no symbol table. Streams; unread
 * content is skipped.
 * @throws ARCHIVE_INVALID
 */
export async function* readAr(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArMember> {
  const reader = new ByteReader(source);
  try {
    if ((await reader.take(MAGIC.length))?.toString('latin1') !== MAGIC)
      throw invalid('it does not start with "!<arch>"');
    for (;;) {
      const header = await reader.take(HEADER);
      if (header === undefined) return;
      const { name, size } = parseHeader(header);
      const content = reader.part(size);
      yield { name, size, content };
      for await (const chunk of content) void chunk;
      if (size % 2 === 1) await reader.take(1);
    }
  } finally {
    await reader.close();
  }
}

/** Returns a member's header, in dpkg-deb's form. */
export function arHeader(name: string, size: number): Buffer {
  return Buffer.from(
    `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(size).padEnd(10)}\`\n`,
    'latin1',
  );
}

function parseHeader(header: Buffer): { name: string; size: number } {
  const text = header.toString('latin1');
  const name = text.slice(0, 16).trimEnd().replace(/\/$/, '');
  const size = text.slice(48, 58).trimEnd();
  if (text.slice(58) !== '`\n' || !/^\d{1,10}$/.test(size) || !/^[\w.+-]+$/.test(name))
    throw invalid('a member header is malformed');
  return { name, size: Number(size) };
}

function invalid(problem: string): LktError {
  return new LktError('ARCHIVE_INVALID', `not a Debian package: ${problem}`);
}

class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Returns exactly `size` bytes, or undefined at the end. */
  async take(size: number): Promise<Buffer | undefined> {
    const parts: Uint8Array[] = [];
    let have = 0;
    while (have < size && (await this.#fill())) {
      const part = this.#buffer.subarray(0, size - have);
      this.#buffer = this.#buffer.subarray(part.length);
      parts.push(part);
      have += part.length;
    }
    if (have === 0 && size > 0) return undefined;
    if (have < size) throw invalid('it is truncated');
    return Buffer.concat(parts);
  }

  /** Returns the next `size` bytes. A second iteration resumes where the first stopped. */
  part(size: number): AsyncIterable<Uint8Array> {
    let left = size;
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      if (left === 0) return { done: true, value: undefined };
      if (!(await this.#fill())) throw invalid('it is truncated');
      const value = this.#buffer.subarray(0, left);
      this.#buffer = this.#buffer.subarray(value.length);
      left -= value.length;
      return { done: false, value };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  /** Closes the source. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#buffer.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      this.#buffer = value;
    }
    return true;
  }
}
