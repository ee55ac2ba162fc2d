import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { findTop, type Git, isInside } from '@lkt/git';
import { findTrackedDirectories } from '@lkt/git/tracked';
import { brokenPackage } from './broken-package.ts';
import { collectionPlaces } from './collection-places.ts';
import { Collection, collectionDir, readPublished } from './collection.ts';
import { BUILD_YML, matchingDirs } from './package-dirs.ts';
import { readDescription } from './read-description.ts';
import { type CollectionSpec, readWorkspaceFile } from './workspace-file.ts';

/** How collections are found and read. */
export interface CollectionOptions {
  readonly git: Git;
  /** Returns a directory with the files of a commit. */
  readonly gitDir?: (url: string, commit: string) => Promise<string>;
  /** Directories that replace the sources of collections, by their names. */
  readonly collectionDirs?: ReadonlyMap<string, string>;
  readonly displayPath: (path: string) => string;
}

/**
 * Finds the packages of a collection, and of the collections in it.
 * @param name stands for its packages: in another collection, `outer/inner`
 * @param from directory of the lkt.yml that names it
 * @param parents directories of the collections that it is in
 * @throws CONFIG_INVALID if it is not there, or contains itself
 */
export async function loadCollection(
  name: string,
  spec: CollectionSpec,
  from: string,
  options: CollectionOptions,
  parents: readonly string[] = [],
): Promise<Collection> {
  const { git, gitDir = noGit, collectionDirs, displayPath } = options;
  const given = collectionDirs?.get(name);
  const root =
    given === undefined ? await collectionDir(spec, from, gitDir) : await realpath(given);
  if (parents.includes(root))
    throw spec.at.error('the collection contains itself', { fix: 'remove it' });
  const isPath = given === undefined && spec.source.kind === 'path';
  const gitTop = isPath ? await findTop(git, root) : undefined;
  const workspaceSpec = readWorkspaceFile(root, displayPath);
  const collection = new Collection(name, {
    root,
    places: given === undefined ? collectionPlaces(spec, from) : [given],
    spec,
    isPlain: gitTop === undefined,
    workspaceSpec,
    ...readPublished(root, displayPath),
  });
  const tracked = gitTop === undefined ? [] : await findTrackedDirectories(git, gitTop, BUILD_YML);
  const dirs =
    gitTop === undefined || workspaceSpec?.packages !== undefined
      ? matchingDirs(root, BUILD_YML, workspaceSpec?.packages)
      : tracked.map((path) => join(gitTop, path)).filter((dir) => isInside(dir, root));
  for (const dir of dirs) {
    try {
      collection.unparsed.add(dir, readDescription(dir, BUILD_YML, displayPath));
    } catch (error) {
      collection.addBroken(brokenPackage(dir, '', error));
    }
  }
  for (const [inner, innerSpec] of workspaceSpec?.collections ?? []) {
    const path = `${name}/${inner}`;
    const loaded = await loadCollection(path, innerSpec, root, options, [...parents, root]);
    collection.collections.set(inner, loaded);
  }
  return collection;
}

async function noGit(url: string): Promise<never> {
  throw new LktError('UNSUPPORTED', `the collection ${url} cannot be fetched here`, {
    fix: 'run lkt build, which fetches it',
  });
}
