import { LktError } from '@lkt/core';
import { ByteReader, UnexpectedEndError } from '@lkt/oci';

/** A member of an ar archive. Read or skip its content before requesting the next member. */
export interface ArMember {
  readonly name: string;
  readonly size: number;
  /** Seconds since 1970; undefined if 0 or not a number. */
  readonly time: number | undefined;
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
    if ((await reader.read(MAGIC.length))?.toString('latin1') !== MAGIC)
      throw invalid('it does not start with "!<arch>"');
    for (;;) {
      const header = await reader.read(HEADER);
      if (header === undefined) return;
      const { name, size, time } = parseHeader(header);
      let left = size;
      const content = async function* (): AsyncGenerator<Uint8Array> {
        while (left > 0) {
          const chunk = await reader.take(left);
          if (chunk === undefined) throw invalid('it is truncated');
          left -= chunk.length;
          yield chunk;
        }
      };
      yield { name, size, time, content: content() };
      await reader.skip(left);
      if (size % 2 === 1) await reader.read(1);
    }
  } catch (error) {
    throw error instanceof UnexpectedEndError ? invalid('it is truncated') : error;
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

function parseHeader(header: Buffer): Omit<ArMember, 'content'> {
  const text = header.toString('latin1');
  const name = text.slice(0, 16).trimEnd().replace(/\/$/, '');
  const size = text.slice(48, 58).trimEnd();
  if (text.slice(58) !== '`\n' || !/^\d{1,10}$/.test(size) || !/^[\w.+-]+$/.test(name))
    throw invalid('a member header is malformed');
  const [time] = /^\d{1,11}(?= *$)/.exec(text.slice(16, 28)) ?? [];
  return { name, size: Number(size), time: Number(time ?? 0) || undefined };
}

function invalid(problem: string): LktError {
  return new LktError('ARCHIVE_INVALID', `not a Debian package: ${problem}`);
}
