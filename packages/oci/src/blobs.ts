import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, digestOf, isDigest, isErrno, LktError } from '@lkt/core';
import { earlyWriteback } from './early-writeback.ts';
import { storeError } from './fs-error.ts';
import { createAsyncDigester } from './async-digester.ts';
import { writeAtomically } from './temp.ts';

/** A chunk that lasts costs memory until it is collected; one whose memory is used again may be large. */
const CHUNK = 256 * 1024;
const REUSED_CHUNK = 2 ** 20;
/** What is no longer is read at once: to hand it to other threads, four times, takes ten times as long. */
const MAX_SYNC_READ = 256 * 1024;

/** What names a blob to read; its size is checked too when it is known. */
export interface BlobRef {
  readonly digest: Digest;
  readonly size?: number;
}

export interface ReadOptions {
  /** Whether each chunk is done with before the next one is asked for; its memory is then used again. */
  readonly canReuseBuffers?: boolean;
}

/** What is known of a blob to write. */
export interface ExpectedBlob {
  readonly digest?: Digest;
  readonly size?: number;
  /** Whether a thread may be started that hashes long content: it takes 10 MB of memory, and nobody waits for the hash. */
  readonly canHashInThread?: boolean;
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
      const found = statSync(this.path(digest), { throwIfNoEntry: false });
      return found?.isFile() === true ? found.size : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw storeError(`cannot look at blob ${digest}`, error);
    }
  }

  /** The last chunk is given when all is known to be right. @throws LktError NOT_FOUND, DIGEST_MISMATCH */
  async *read(
    { digest, size }: BlobRef,
    { canReuseBuffers = false }: ReadOptions = {},
  ): AsyncGenerator<Uint8Array> {
    const path = this.path(digest);
    try {
      await using file = await open(path, 'r');
      const actual = (await file.stat()).size;
      if (size !== undefined && actual !== size)
        throw mismatch(digest, path, `has ${actual} bytes, not ${size}`);
      using digester = await createAsyncDigester(actual);
      const chunks = new Chunks(file, canReuseBuffers);
      // The next chunk is read, and this one hashed, while it is used.
      let reading = chunks.next(actual);
      let hashing = Promise.resolve();
      let rest = actual;
      while (rest > 0) {
        const part = await reading;
        if (part.length === 0) break;
        rest -= part.length;
        await hashing;
        reading = chunks.next(rest);
        reading.catch(() => undefined);
        hashing = digester.update(part);
        hashing.catch(() => undefined);
        if (rest === 0 && (await digester.digest()) !== digest)
          throw mismatch(digest, path, 'has other content');
        yield part;
      }
      if (rest > 0 || (actual === 0 && (await digester.digest()) !== digest))
        throw mismatch(digest, path, 'has other content');
    } catch (error) {
      throw readError(digest, error);
    }
  }

  /** @throws LktError NOT_FOUND, DIGEST_MISMATCH, IMAGE_INVALID when it is longer than `limit` */
  async readBytes({ digest, size }: BlobRef, limit: number): Promise<Buffer> {
    if (size !== undefined && size > limit) throw tooLong(digest, size, limit);
    const path = this.path(digest);
    try {
      const { actual, small } = readSmall(path);
      if (size !== undefined && actual !== size)
        throw mismatch(digest, path, `has ${actual} bytes, not ${size}`);
      if (actual > limit) throw tooLong(digest, actual, limit);
      const bytes = small ?? (await readLong(path, actual));
      if (bytes.length < actual) throw mismatch(digest, path, 'became shorter');
      if (digestOf(bytes) !== digest) throw mismatch(digest, path, 'has other content');
      return bytes;
    } catch (error) {
      throw readError(digest, error);
    }
  }

  async write(
    source: AsyncIterable<Uint8Array>,
    expected: ExpectedBlob = {},
    signal?: AbortSignal,
  ): Promise<BlobInfo> {
    signal?.throwIfAborted();
    const { digest, size, canHashInThread = false } = expected;
    using digester = await createAsyncDigester(canHashInThread ? size : undefined);
    let info: BlobInfo | undefined;
    try {
      await mkdir(this.#dir, { recursive: true });
      await writeAtomically(this.#temp, async (file) => {
        const writeback = earlyWriteback(file);
        try {
          for await (const chunk of marked(source, signal)) {
            if (size !== undefined && digester.size + chunk.length > size)
              throw unexpected(digest, `it has more than the ${size} bytes it should have`);
            // Each is done by another thread.
            await Promise.all([writeAll(file, chunk), digester.update(chunk)]);
            writeback.advance(chunk.length);
          }
        } finally {
          await writeback.settled();
        }
        info = { digest: await digester.digest(), size: digester.size };
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

  /** Those that are there. */
  async digests(): Promise<Digest[]> {
    try {
      const names = await readdir(this.dir);
      return names.map((name) => `sha256:${name}`).filter((name) => isDigest(name));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw storeError(`cannot read ${this.dir}`, error);
    }
  }
}

/** How long a file is, and what is in it, where that is not much. */
function readSmall(path: string): { readonly actual: number; readonly small?: Buffer } {
  const file = openSync(path, 'r');
  try {
    const actual = fstatSync(file).size;
    if (actual > MAX_SYNC_READ) return { actual };
    const bytes = Buffer.allocUnsafeSlow(actual);
    let done = 0;
    for (let read = 1; read > 0 && done < actual; done += read)
      read = readSync(file, bytes, done, actual - done, done);
    return { actual, small: bytes.subarray(0, done) };
  } finally {
    closeSync(file);
  }
}

/** The first `length` bytes of a file, or all. */
async function readLong(path: string, length: number): Promise<Buffer> {
  await using file = await open(path, 'r');
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, done);
    if (bytesRead === 0) return bytes.subarray(0, done);
    done += bytesRead;
  }
  return bytes;
}

/** A full disk takes a part of it, and says so the next time. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length;)
    done += (await file.write(chunk, done, chunk.length - done, null)).bytesWritten;
}

/** A file, chunk by chunk. */
class Chunks {
  readonly #file: FileHandle;
  readonly #size: number;
  /** Those whose memory is used again: one is read into while the other is used. */
  readonly #buffers: (Buffer | undefined)[];

  constructor(file: FileHandle, canReuseBuffers: boolean) {
    this.#file = file;
    this.#size = canReuseBuffers ? REUSED_CHUNK : CHUNK;
    this.#buffers = canReuseBuffers ? [undefined, undefined] : [];
  }

  /** Most blobs are small, and a large buffer for each would keep the garbage collector busy. */
  async next(rest: number): Promise<Uint8Array> {
    if (rest === 0) return Buffer.of();
    const length = Math.min(this.#size, rest);
    const buffer = this.#buffers.shift() ?? Buffer.allocUnsafeSlow(length);
    if (this.#size === REUSED_CHUNK) this.#buffers.push(buffer);
    const { bytesRead } = await this.#file.read(buffer, 0, length, null);
    return buffer.subarray(0, bytesRead);
  }
}

/** Hashes what is on disk; undefined when it is as it should be. */
export async function blobProblem(blobs: Blobs, digest: Digest): Promise<LktError | undefined> {
  try {
    for await (const chunk of blobs.read({ digest }, { canReuseBuffers: true })) void chunk;
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

function readError(digest: Digest, error: unknown): unknown {
  if (isErrno(error, 'ENOENT', 'ENOTDIR'))
    return new LktError('NOT_FOUND', `blob ${digest} is not in the store`, { cause: error });
  return storeError(`cannot read blob ${digest}`, error);
}

function tooLong(digest: Digest, size: number, limit: number): LktError {
  return new LktError('IMAGE_INVALID', `blob ${digest} has ${size} bytes, more than ${limit}`);
}
