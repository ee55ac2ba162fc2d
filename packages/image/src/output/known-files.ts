import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestHex, digestOf } from '@lkt/core';
import { type FileState, fileState, isSettled } from '@lkt/oci';

/** Bytes. Hashing a shorter file is as fast. */
const WORTH = 256 * 1024;

/**
 * Remembers digests of files by inode, size and times. Reading an initrd to see that it is
 * unchanged would take longer than the rest of an unchanged build.
 */
export class KnownFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Reports whether a file in this state is known to have a digest. */
  has(path: string, state: FileState, digest: Digest): boolean {
    try {
      return readFileSync(this.#note(path), 'utf8') === `${digest} ${state}`;
    } catch {
      return false;
    }
  }

  /** Records the digest of a file that this process has just renamed or touched. */
  addTouched(
    path: string,
    { digest, size }: { readonly digest: Digest; readonly size: number },
  ): void {
    if (size < WORTH) return;
    try {
      const stats = lstatSync(path, { bigint: true });
      if (stats.size === BigInt(size))
        writeFileSync(this.#note(path), `${digest} ${fileState(stats)}`);
    } catch {
      // The next build hashes the file.
    }
  }

  #note(path: string): string {
    return join(this.#directory, `${digestHex(digestOf(path))}.known`);
  }
}

/** Returns the state of a file; undefined for a short file, or one changed a moment ago. */
export function stateOf(path: string): FileState | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile() || stats.size < WORTH) return undefined;
  return isSettled(stats) ? fileState(stats) : undefined;
}
