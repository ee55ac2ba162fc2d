import { lstatSync, writeFileSync } from 'node:fs';
import { lstat, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, digestOf, LktError } from '@lkt/core';
import { type FileState, fileState, isSettled, type SealedFiles } from '@lkt/oci/files';

/** Bytes. Hashing a shorter file is as fast. */
const MIN_SIZE = 256 * 1024;

/** The content of a file, by its digest. */
export interface FileDigest {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * Remembers digests of files by inode, size and times. Reading an initrd to see that it is
 * unchanged would take longer than the rest of an unchanged build.
 */
export class KnownFiles {
  readonly #directory: string;
  readonly #sealed: SealedFiles;

  /** @param directory of the notes, in the store of `sealed` */
  constructor(directory: string, sealed: SealedFiles) {
    this.#directory = directory;
    this.#sealed = sealed;
  }

  /**
   * Reports whether a file has a digest, and if so sets its times to now. Reads the file unless it
   * is known.
   */
  async matches(path: string, expected: FileDigest, signal?: AbortSignal): Promise<boolean> {
    const { digest, size } = expected;
    try {
      const stats = await lstat(path);
      if (!stats.isFile() || stats.size !== size) return false;
      const before = stateOf(path);
      const isKnown = before !== undefined && this.#has(path, before, digest);
      if (!isKnown && (await digestNow(path, size, signal)) !== digest) return false;
      const isSure = before !== undefined && before === stateOf(path);
      const now = new Date();
      await utimes(path, now, now);
      if (isSure) this.record(path, expected);
      return true;
    } catch (error) {
      if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
      throw error;
    }
  }

  /** Records the digest of a file that this process has just renamed or touched. */
  record(path: string, { digest, size }: FileDigest): void {
    if (size < MIN_SIZE) return;
    try {
      const stats = lstatSync(path, { bigint: true });
      if (stats.size !== BigInt(size)) return;
      const note = this.#note(path);
      writeFileSync(note, this.#sealed.seal(note, `${digest} ${fileState(stats)}`));
    } catch {
      // The next build hashes the file.
    }
  }

  #has(path: string, state: FileState, digest: Digest): boolean {
    try {
      return this.#sealed.read(this.#note(path)) === `${digest} ${state}`;
    } catch {
      return false;
    }
  }

  #note(path: string): string {
    return join(this.#directory, `${digestHex(digestOf(path))}.known`);
  }
}

/** As `digestOfFile`. Loads little code for a short file, as for a build without work to do. */
async function digestNow(path: string, size: number, signal?: AbortSignal): Promise<Digest> {
  return size < MIN_SIZE ? digestOf(await readFile(path)) : await digestOfFile(path, size, signal);
}

/** Returns the digest of a file's content. */
export async function digestOfFile(
  path: string,
  size: number,
  signal?: AbortSignal,
): Promise<Digest> {
  const { createAsyncDigester, fileChunks } = await import('@lkt/oci');
  using digester = await createAsyncDigester(size);
  for await (const chunk of fileChunks(path, { canReuseBuffers: true })) {
    signal?.throwIfAborted();
    await digester.update(chunk);
  }
  return digester.digest();
}

/** Returns the state of a file; undefined for a short file, or one changed a moment ago. */
function stateOf(path: string): FileState | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile() || stats.size < MIN_SIZE) return undefined;
  return isSettled(stats) ? fileState(stats) : undefined;
}
