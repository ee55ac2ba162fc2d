import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DigestAlgorithm, ioError } from '@lkt/core';
import { openStore } from './open-store.ts';
import { SealedFiles } from './sealed-files.ts';
import { Store } from './store.ts';

/** A store whose blobs are those of another one. */
class ScratchStore extends Store {
  readonly #blobs: string;

  constructor(dir: string, sealed: SealedFiles, blobs: string) {
    super(dir, sealed);
    this.#blobs = blobs;
  }

  protected override blobsDir(algorithm: DigestAlgorithm): string {
    return join(this.#blobs, algorithm);
  }
}

/**
 * Returns a store with the blobs, tags and referrers of another one, but nothing derived from them.
 * Its files have the same seals as in the other store.
 * @param dir a directory to create, in the same file system
 */
export async function scratchStore(store: Store, dir: string): Promise<Store> {
  await openStore(dir);
  try {
    await copyFile(join(store.dir, 'index.json'), join(dir, 'index.json'));
  } catch (error) {
    throw ioError(`cannot read the index of ${store.dir}`, error);
  }
  const sealed = new SealedFiles(dir, () => store.sealed.key);
  return new ScratchStore(dir, sealed, join(store.dir, 'blobs'));
}
