import { closeSync, fstatSync, openSync, read, readSync, statSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type Digest,
  DIGEST_ALGORITHMS,
  type DigestAlgorithm,
  digestAlgorithm,
  digestHex,
  hasDigest,
  ioError,
  isDigest,
  isErrno,
  LktError,
} from '@lkt/core';
import { earlyWriteback } from '../io/early-writeback.ts';
import { createAsyncDigester } from '../io/async-digester.ts';
import { Digesters } from '../io/digesters.ts';
import { chunksOf, writeAll } from '../io/file-chunks.ts';
import { namesIn } from '../io/files.ts';
import { writeAtomically } from '../io/temp.ts';

/**
 * Chunk sizes in bytes. A fresh chunk occupies memory until it is collected; a reused one may be
 * larger.
 */
const CHUNK = 256 * 1024;
const REUSED_CHUNK = 2 ** 20;
/**
 * Blobs up to this size are read synchronously: four round trips to the thread pool take ten times
 * as long.
 */
const MAX_SYNC_READ = 256 * 1024;

/**
 * Default limit of a manifest or config in bytes; distribution-spec asks registries to accept
 * manifests of this size.
 */
const MAX_BYTES = 4 * 2 ** 20;

/** Identifies a blob to read. If `size` is given, it is checked too. */
export interface BlobRef {
  readonly digest: Digest;
  readonly size?: number;
}

/** Options of reading a blob. */
export interface ReadOptions {
  /**
   * Reuse the memory of a chunk as soon as the next one is requested. Set it only if the consumer
   * is done with each chunk by then.
   */
  readonly canReuseBuffers?: boolean;
  /** Check only the size, because the consumer computes the digest. */
  readonly isCheckedByConsumer?: boolean;
}

/** The known properties of a blob to write. */
export interface ExpectedBlob {
  readonly digest?: Digest;
  /** Returns the digest once the source has ended, if it is unknown before. */
  readonly finalDigest?: () => Digest;
  readonly size?: number;
  /**
   * Hash long content of known size on another thread, in parallel with the write. Costs 10 MB of
   * memory.
   */
  readonly canHashInThread?: boolean;
  /** Called once all content is verified, before the wait for the disk. */
  readonly onVerified?: () => void;
}

/** Digest and size in bytes of a stored blob. */
export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** The blobs of an OCI layout (image-spec, image-layout.md, "Blobs"). */
export class Blobs {
  /** The directory of the layout. */
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Returns the directory of the blobs with digests of an algorithm. */
  protected blobsDir(algorithm: DigestAlgorithm): string {
    return join(this.dir, 'blobs', algorithm);
  }

  /** Returns the path of a blob, which need not exist. */
  blobPath(digest: Digest): string {
    return join(this.blobsDir(digestAlgorithm(digest)), digestHex(digest));
  }

  /** Returns the size of a blob in bytes; undefined if it is missing. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      const found = statSync(this.blobPath(digest), { throwIfNoEntry: false });
      return found?.isFile() === true ? found.size : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw ioError(`cannot access blob ${digest}`, error);
    }
  }

  /**
   * Streams a blob. Yields the last chunk only after size and digest match, so do not act on
   * earlier chunks alone; see also `isCheckedByConsumer`.
   * @throws NOT_FOUND; DIGEST_MISMATCH in place of the last chunk
   */
  async *read(
    { digest, size }: BlobRef,
    { canReuseBuffers = false, isCheckedByConsumer = false }: ReadOptions = {},
  ): AsyncGenerator<Uint8Array> {
    const path = this.blobPath(digest);
    try {
      await using file = await open(path, 'r');
      const actual = (await file.stat()).size;
      if (size !== undefined && actual !== size)
        throw mismatch(digest, path, `has ${actual} bytes, not ${size}`);
      const part = { offset: 0, size: actual };
      const chunkBytes = canReuseBuffers ? REUSED_CHUNK : CHUNK;
      if (isCheckedByConsumer) {
        yield* chunksOf(file, { canReuseBuffers, part, chunkBytes });
        return;
      }
      using digester = await createAsyncDigester(actual, digestAlgorithm(digest));
      let rest = actual;
      for await (const chunk of chunksOf(file, { canReuseBuffers, part, chunkBytes })) {
        rest -= chunk.length;
        const hashing = digester.update(chunk);
        hashing.catch(() => undefined);
        if (rest === 0 && (await digester.digest()) !== digest)
          throw mismatch(digest, path, 'does not match its digest');
        // Hashing overlaps with the use of the chunk and the read of the next one.
        yield chunk;
        await hashing;
      }
      if (rest > 0 || (actual === 0 && (await digester.digest()) !== digest))
        throw mismatch(digest, path, 'does not match its digest');
    } catch (error) {
      throw readError(digest, error);
    }
  }

  /**
   * Returns the whole content of a blob, verified; see also `isCheckedByConsumer`.
   * @param limit maximum length in bytes; default 4 MiB
   * @throws NOT_FOUND, DIGEST_MISMATCH; IMAGE_INVALID if it is longer
   */
  async readBytes(
    { digest, size }: BlobRef,
    limit: number = MAX_BYTES,
    { isCheckedByConsumer = false }: Pick<ReadOptions, 'isCheckedByConsumer'> = {},
  ): Promise<Buffer> {
    if (size !== undefined && size > limit) throw tooLong(digest, size, limit);
    const path = this.blobPath(digest);
    try {
      using file = openedSync(path);
      const actual = fstatSync(file.fd).size;
      if (size !== undefined && actual !== size)
        throw mismatch(digest, path, `has ${actual} bytes, not ${size}`);
      if (actual > limit) throw tooLong(digest, actual, limit);
      const { fd } = file;
      const bytes = actual > MAX_SYNC_READ ? await readAll(fd, actual) : readAllSync(fd, actual);
      if (!isCheckedByConsumer && !hasDigest(bytes, digest))
        throw mismatch(digest, path, 'does not match its digest');
      return bytes;
    } catch (error) {
      throw readError(digest, error);
    }
  }

  /**
   * Writes a blob atomically: into a temporary file, fsynced, then renamed.
   * @throws DIGEST_MISMATCH if the content is not as expected; DISK_FULL, IO_FAILED
   */
  async write(
    source: AsyncIterable<Uint8Array>,
    expected: ExpectedBlob = {},
    signal?: AbortSignal,
  ): Promise<BlobInfo> {
    signal?.throwIfAborted();
    const { digest, finalDigest, size, canHashInThread = false } = expected;
    const known = digest === undefined ? 'sha256' : digestAlgorithm(digest);
    using digesters = await Digesters.create(
      finalDigest === undefined ? [known] : DIGEST_ALGORITHMS,
      canHashInThread ? size : undefined,
    );
    let info: BlobInfo | undefined;
    try {
      await writeAtomically(join(this.dir, 'tmp'), async (file) => {
        const writeback = earlyWriteback(file);
        try {
          for await (const chunk of marked(source, signal)) {
            if (size !== undefined && digesters.size + chunk.length > size)
              throw unexpected(digest, `it is longer than ${size} bytes`);
            // Both run on the thread pool.
            await Promise.all([writeAll(file, chunk), digesters.update(chunk)]);
            writeback.advance(chunk.length);
          }
        } finally {
          await writeback.settled();
        }
        const wanted = digest ?? finalDigest?.();
        const algorithm = wanted === undefined ? known : digestAlgorithm(wanted);
        info = { digest: await digesters.digest(algorithm), size: digesters.size };
        if (size !== undefined && info.size !== size)
          throw unexpected(wanted, `it has ${info.size} bytes, not ${size}`);
        if (wanted !== undefined && info.digest !== wanted)
          throw unexpected(wanted, `its digest is ${info.digest}`);
        expected.onVerified?.();
        await mkdir(this.blobsDir(algorithm), { recursive: true });
        return this.blobPath(info.digest);
      });
    } catch (error) {
      if (error instanceof SourceError) throw error.cause;
      throw ioError('cannot write a blob to the store', error);
    }
    if (info === undefined) throw new Error('a blob was written without being read');
    return info;
  }

  /** Returns the digests of all blobs in the directory. */
  digests(): readonly Digest[] {
    return DIGEST_ALGORITHMS.flatMap((algorithm) =>
      namesIn(this.blobsDir(algorithm)).map((name) => `${algorithm}:${name}`),
    ).filter((name) => isDigest(name));
  }

  /** Hashes a blob and reports whether it matches its digest. */
  async isIntact(digest: Digest): Promise<boolean> {
    try {
      for await (const chunk of this.read({ digest }, { canReuseBuffers: true })) void chunk;
      return true;
    } catch (error) {
      if (error instanceof LktError && error.code === 'DIGEST_MISMATCH') return false;
      throw error;
    }
  }
}

/** Opens a file for reading. Disposal closes it. */
function openedSync(path: string): Disposable & { readonly fd: number } {
  const fd = openSync(path, 'r');
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

function readAllSync(fd: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  let done = 0;
  for (let count = 1; count > 0 && done < size; done += count)
    count = readSync(fd, bytes, done, size - done, done);
  return bytes.subarray(0, done);
}

/**
 * Reads with one task of the thread pool, where `readFile` needs one for each 512 KiB. Between two
 * tasks a busy thread may let the pool wait.
 */
async function readAll(fd: number, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let done = 0;
  for (let count = 1; count > 0 && done < size; done += count)
    count = (await readAt(fd, bytes, done, size - done, done)).bytesRead;
  return bytes.subarray(0, done);
}

const readAt = promisify(read);

/** Marks an error of the source, or an abort, as opposed to an error of the store. */
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
    fix: 'run lkt cache verify --remove',
  });
}

function unexpected(digest: Digest | undefined, what: string): LktError {
  const name = digest === undefined ? 'the content' : `the content for ${digest}`;
  return new LktError('DIGEST_MISMATCH', `${name} is not as expected: ${what}`);
}

function readError(digest: Digest, error: unknown): unknown {
  if (isErrno(error, 'ENOENT', 'ENOTDIR'))
    return new LktError('NOT_FOUND', `blob ${digest} is not in the store`, { cause: error });
  return ioError(`cannot read blob ${digest}`, error);
}

function tooLong(digest: Digest, size: number, limit: number): LktError {
  return new LktError('IMAGE_INVALID', `blob ${digest} has ${size} bytes, more than ${limit}`);
}
