import { readFileSync } from 'node:fs';
import { type Digest, isErrno } from '@lkt/core';
import { diskUse, entriesIn } from './disk-use.ts';
import { withoutSeal } from './sealed-files.ts';
import type { Store } from './store.ts';
import type { TreeSizes } from './tree-sizes.ts';

/** A unit of a store that is kept or removed as a whole. */
export interface CacheItem {
  /** The name of its `CacheArea`, or `images`, `downloads`, `temporary`, `unreferenced`. */
  readonly area: string;
  /** An image reference, or a path in the store. */
  readonly name: string;
  /** Files and directories removed with it, apart from blobs. */
  readonly paths: readonly string[];
  /** Bytes that `paths` occupy on disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** Blobs it needs. A blob is removed with the last item that needs it. */
  readonly blobs: readonly Digest[];
  /** The entry of the store's index that is removed with it. */
  readonly reference?: string;
  /** Useless to any command, such as the temporary files of a dead process. */
  readonly isGarbage?: boolean;
}

/**
 * A directory of a store for derived data, described by the package that writes it. All of it can
 * be rebuilt, so `prune` may remove every item that is not in use.
 */
export interface CacheArea {
  readonly name: string;
  list(store: string, sizes: TreeSizes): readonly CacheItem[];
  /**
   * Reports whether the item at `path` is as this user's lkt made it; undefined if that is unknown,
   * or another item records it.
   */
  readonly isIntact?: ((path: string, store: Store) => Promise<boolean | undefined>) | undefined;
  /** Returns the text that `Store.adopt` seals for that of a file. Default: it seals nothing. */
  readonly adopt?: ((text: string) => string) | undefined;
}

/** The parts of an area of sealed files that `Store.adopt` may seal. */
export const adoptable: Pick<CacheArea, 'isIntact' | 'adopt'> = {
  isIntact: isSealed,
  adopt: (text) => text,
};

/** Reports whether a file of an area of sealed files is intact. */
async function isSealed(path: string, { sealed }: Store): Promise<boolean> {
  return sealed.read(path) !== undefined;
}

/**
 * Returns an area in which each file is an item. `blobsOf` returns the blobs that a file's content
 * refers to, without its seal.
 */
export function fileArea(
  name: string,
  directory: string,
  {
    blobsOf,
    ...checks
  }: Pick<CacheArea, 'isIntact' | 'adopt'> & {
    readonly blobsOf?: (content: string) => readonly Digest[];
  } = {},
): CacheArea {
  return {
    ...checks,
    name,
    list: (store) =>
      entriesIn(store, directory)
        .filter(({ stats }) => !stats.isDirectory())
        .map(({ name: item, path, stats }) => ({
          area: name,
          name: item,
          paths: [path],
          bytes: diskUse(stats),
          lastUsed: stats.mtimeMs,
          blobs: blobsOf === undefined ? [] : blobsIn(path, blobsOf),
        })),
  };
}

/**
 * Returns an area in which each directory is an item. The time of last use is its ctime, which can
 * be updated without changing a time that a program in an image sees.
 * @param isFixed the content of an item never changes, so its size is measured once
 */
export function directoryArea(name: string, directory: string, isFixed: boolean): CacheArea {
  return {
    name,
    list: (store, sizes) =>
      entriesIn(store, directory)
        .filter(({ stats }) => stats.isDirectory())
        .map(({ name: item, path, stats }) => ({
          area: name,
          name: item,
          paths: [path],
          bytes: sizes.of(item, path, isFixed),
          lastUsed: stats.ctimeMs,
          blobs: [],
        })),
  };
}

function blobsIn(path: string, blobsOf: (content: string) => readonly Digest[]): readonly Digest[] {
  try {
    return blobsOf(withoutSeal(readFileSync(path, 'utf8')));
  } catch (error) {
    // A file truncated by a crash refers to no blobs.
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return [];
    throw error;
  }
}
