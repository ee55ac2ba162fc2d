import { realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isErrno } from '@lkt/core';
import type { CollectionSpec } from './workspace-file.ts';

/**
 * Returns where the sources of a collection may be; the first directory has them. None for sources
 * in git, whose commit says where they are.
 * @param from directory of the lkt.yml that names it
 */
export function collectionPlaces(
  { source }: Pick<CollectionSpec, 'source'>,
  from: string,
): readonly string[] {
  if (source.kind === 'git') return [];
  if (source.kind === 'path') return [resolve(from, source.path)];
  const places: string[] = [];
  for (let parent = from; ; parent = dirname(parent)) {
    places.push(join(parent, 'node_modules', source.name));
    if (dirname(parent) === parent) return places;
  }
}

/** Returns the first of some paths that is a directory, without symlinks. */
export function firstDirectory(paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const dir = realDirectory(path);
    if (dir !== undefined) return dir;
  }
  return undefined;
}

function realDirectory(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? realpathSync(path) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
