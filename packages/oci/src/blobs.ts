import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, Digester, digestHex, isErrno, LktError } from '@lkt/core';
import { storeError } from './fs-error.ts';
import { writeWhole } from './temp.ts';
import { WriteBehind } from './write-behind.ts';

const CHUNK = 256 * 1024;
/** Few large writes cost much less than many small ones. */
const BATCH = 2 ** 20;

/** What names a blob to read; its size is checked too when it is known. */
export interface BlobName {
  readonly digest: Digest;
  readonly size?: number;
}

/** What is known of a blob to write. */
export interface ExpectedBlob {
  readonly digest?: Digest;
  readonly size?: number;
  /** Whether each chunk stays as it is after the next one was asked for. */
  readonly lasting?: boolean;
}

export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** The `blobs` directory of an OCI layout. */
export class Blobs {
  readonly #dir: string;
  readonly #temp: string;

  constructor(layout: string) {
    this.#dir = join(layout, 'blobs', 'sha256');
    this.#temp = join(layout, 'tmp');
  }

  get dir(): string {
    return this.#dir;
  }

  path(digest: Digest): string {
    return join(this.#dir, digestHex(digest));
  }

  async size(digest: Digest): Promise<number | undefined> {
    try {
      const found = await stat(this.path(digest));
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw storeError(`cannot look at blob ${digest}`, error);
    }
  }

  /** @throws LktError NOT_FOUND, at the end DIGEST_MISMATCH */
  async *read({ digest, size }: BlobName): AsyncGenerator<Uint8Array> {
    const path = this.path(digest);
    try {
      await using file = await open(path, 'r');
      const digester = new Digester();
      const actual = (await file.stat()).size;
      if (size !== undefined && actual !== size)
        throw mismatch(digest, path, `has ${actual} bytes, not ${size}`);
      // The next chunk is read while this one is hashed and used.
      let reading = chunkOf(file, actual);
      for (let rest = actual; rest > 0;) {
        const { buffer, bytesRead } = await reading;
        if (bytesRead === 0) break;
        rest -= bytesRead;
        reading = chunkOf(file, rest);
        reading.catch(() => undefined);
        const part = buffer.subarray(0, bytesRead);
        digester.update(part);
        yield part;
      }
      if (digester.digest() !== digest) throw mismatch(digest, path, 'has other content');
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR'))
        throw new LktError('NOT_FOUND', `blob ${digest} is not in the store`, { cause: error });
      throw storeError(`cannot read blob ${digest}`, error);
    }
  }

  async readBytes(name: BlobName, limit: number): Promise<Buffer> {
    const size = name.size ?? (await this.size(name.digest)) ?? 0;
    if (size > limit) throw tooLong(name.digest, size, limit);
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of this.read(name)) {
      length += part.length;
      if (length > limit) throw tooLong(name.digest, length, limit);
      parts.push(part);
    }
    return Buffer.concat(parts, length);
  }

  async write(
    source: AsyncIterable<Uint8Array>,
    expected: ExpectedBlob = {},
    signal?: AbortSignal,
  ): Promise<BlobInfo> {
    signal?.throwIfAborted();
    const { digest, size, lasting = false } = expected;
    const digester = new Digester();
    let info: BlobInfo | undefined;
    try {
      await mkdir(this.#dir, { recursive: true });
      await writeWhole(this.#temp, async (file) => {
        const writer = new WriteBehind(file, lasting ? BATCH : 0);
        try {
          for await (const chunk of marked(source, signal)) {
            digester.update(chunk);
            if (size !== undefined && digester.size > size)
              throw unexpected(digest, `it has more than the ${size} bytes it should have`);
            await writer.write(chunk);
          }
          await writer.end();
        } catch (error) {
          await writer.cancel();
          throw error;
        }
        info = { digest: digester.digest(), size: digester.size };
        if (size !== undefined && info.size !== size)
          throw unexpected(digest, `it has ${info.size} bytes, not ${size}`);
        if (digest !== undefined && info.digest !== digest)
          throw unexpected(digest, `it is ${info.digest}`);
        return this.path(info.digest);
      });
    } catch (error) {
      if (error instanceof SourceError) throw error.cause;
      throw storeError('cannot write a blob into the store', error);
    }
    if (info === undefined) throw new Error('a blob was written without being read');
    return info;
  }
}

/** Most blobs are small, and a large buffer for each would keep the garbage collector busy. */
async function chunkOf(
  file: FileHandle,
  rest: number,
): Promise<{ readonly buffer: Buffer; readonly bytesRead: number }> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, rest));
  if (rest === 0) return { buffer, bytesRead: 0 };
  return file.read(buffer, 0, buffer.length, null);
}

/** Hashes what is on disk; undefined when it is as it should be. */
export async function blobProblem(blobs: Blobs, digest: Digest): Promise<LktError | undefined> {
  try {
    for await (const chunk of blobs.read({ digest })) void chunk;
    return undefined;
  } catch (error) {
    if (error instanceof LktError && error.code === 'DIGEST_MISMATCH') return error;
    throw error;
  }
}

/** An error of where the content comes from, or the abort of the write: neither is one of the store. */
class SourceError extends Error {}

async function* marked(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (cause) {
    throw new SourceError('the source failed', { cause });
  }
}

function mismatch(digest: Digest, path: string, what: string): LktError {
  return new LktError('DIGEST_MISMATCH', `blob ${digest} ${what} (${path})`, {
    fix: 'remove what is damaged with: lkt cache verify --remove',
  });
}

function unexpected(digest: Digest | undefined, what: string): LktError {
  const name = digest === undefined ? 'the content' : `the content for ${digest}`;
  return new LktError('DIGEST_MISMATCH', `${name} is not what was asked for: ${what}`);
}

function tooLong(digest: Digest, size: number, limit: number): LktError {
  return new LktError('IMAGE_INVALID', `blob ${digest} has ${size} bytes, more than ${limit}`);
}
