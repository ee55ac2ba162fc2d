import { lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isErrno } from '@lkt/core';
import type { TreeSizes } from './tree-sizes.ts';

/** Something in a store that is kept or removed as a whole. */
export interface CacheItem {
  /** Of the store's kinds of things, the one it is. */
  readonly area: string;
  /** What it is called: an image, or a path in the store. */
  readonly name: string;
  /** Files and directories that go with it, beside blobs. */
  readonly paths: readonly string[];
  /** What these take on disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** Blobs that it needs; they go with the last that needs them. */
  readonly blobs: readonly Digest[];
  /** The name in the index of the store that goes with it. */
  readonly reference?: string;
  /** Good for nothing, such as what a process left that has died. */
  readonly isGarbage?: boolean;
}

/**
 * A directory of a store with what is made from its images: who writes there says what an item of it is. Nothing of it
 * is needed for good, so all may go that is not in use.
 */
export interface CacheArea {
  readonly name: string;
  list(store: string, sizes: TreeSizes): readonly CacheItem[];
}

/** Files that each are an item. `blobsOf` says of the content which blobs it speaks of. */
export function fileArea(
  name: string,
  directory: string,
  blobsOf?: (content: string) => readonly Digest[],
): CacheArea {
  return {
    name,
    list: (store) =>
      namesIn(join(store, directory)).flatMap((file) => {
        const path = join(store, directory, file);
        const stats = statsOf(path);
        if (stats === undefined) return [];
        if (stats.isDirectory()) return [];
        const blobs = blobsOf === undefined ? [] : blobsIn(path, blobsOf);
        const { mtimeMs: lastUsed } = stats;
        return [
          {
            area: name,
            name: join(directory, file),
            paths: [path],
            bytes: diskUse(stats),
            lastUsed,
            blobs,
          },
        ];
      }),
  };
}

/**
 * Directories that each are an item. Their time of change says when one was used: it can be set without changing any time
 * that a program in an image would see.
 * @param isFixed whether what is in one never changes
 */
export function directoryArea(name: string, directory: string, isFixed: boolean): CacheArea {
  return {
    name,
    list: (store, sizes) =>
      namesIn(join(store, directory)).flatMap((file) => {
        const path = join(store, directory, file);
        const stats = statsOf(path);
        if (stats?.isDirectory() !== true) return [];
        const item = join(directory, file);
        const bytes = sizes.of(item, path, isFixed);
        return [
          { area: name, name: item, paths: [path], bytes, lastUsed: stats.ctimeMs, blobs: [] },
        ];
      }),
  };
}

/** What a file or directory takes on disk by itself. */
export function diskUse(stats: Stats): number {
  return stats.blocks * 512;
}

/** The names in a directory; none where there is none, or none that may be seen. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw error;
  }
}

export function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw error;
  }
}

function blobsIn(path: string, blobsOf: (content: string) => readonly Digest[]): readonly Digest[] {
  try {
    return blobsOf(readFileSync(path, 'utf8'));
  } catch (error) {
    // One that a crash has cut off speaks of nothing.
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return [];
    throw error;
  }
}
