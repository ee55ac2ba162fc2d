import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestHex, digestOf } from '@lkt/core';
import { type FileState, fileState, isSettled } from '@lkt/oci';

/** Shorter ones are hashed as fast. */
const WORTH = 256 * 1024;

/**
 * What files were found to hold, as far as they are still the same by their inode, size and times: to read an initrd only to
 * see that nobody has changed it takes longer than all else of a build that changes nothing. In a directory of the store.
 */
export class KnownFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Whether a file in this state was found to have this content. */
  has(path: string, state: FileState, digest: Digest): boolean {
    try {
      return readFileSync(this.#note(path), 'utf8') === `${digest} ${state}`;
    } catch {
      return false;
    }
  }

  /** Notes what a file has, whose name or times this process has changed just now. */
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
      // It is read the next time.
    }
  }

  #note(path: string): string {
    return join(this.#directory, `${digestHex(digestOf(path))}.known`);
  }
}

/** @returns undefined for what is short, or has changed a moment ago */
export function stateOf(path: string): FileState | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile() || stats.size < WORTH) return undefined;
  return isSettled(stats) ? fileState(stats) : undefined;
}
