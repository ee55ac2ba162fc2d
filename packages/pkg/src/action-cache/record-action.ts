import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { digestOf, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { type BuildArg, namedDirs, namedPattern } from '../build-yml/build-args.ts';
import { matchDirs } from '../build-yml/match-dirs.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { BUILD_YML } from '../workspace/package-dirs.ts';
import { policyDirs, trustFileDirs } from '../workspace/trust-file.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { COLLECTION_FILE, withInner } from '../workspace/collection.ts';
import { WORKSPACE_FILE } from '../workspace/find-workspace.ts';
import {
  type CheckoutState,
  checkoutState,
  sourceHashOf,
  type WorkspaceDirs,
} from './checkout-state.ts';
import {
  type CachedAction,
  type FileState,
  fileState,
  fileStates,
  indexPath,
  policiesOf,
} from './find-action.ts';

/**
 * The inputs that an action read, for the action cache. The function that reads them returns them.
 */
export interface ActionInputs {
  readonly workspace: Workspace;
  /** The source hash of each package whose sources were read, at that time. */
  readonly hashes: ReadonlyMap<Package, SourceHash>;
  /**
   * Other files, with their state at the time they were read; undefined if it cannot be tracked.
   */
  readonly files: ReadonlyMap<string, FileState | undefined>;
  /** Paths in the store that were used. */
  readonly storePaths: Iterable<string>;
}

/**
 * Returns an entry for the action cache, or undefined if the result must not be reused: a package
 * has errors, an input changed since it was read, or an input cannot be tracked.
 * @example
 * ```ts
 * const action = recordAction(inputs, result);
 * if (action !== undefined) await storeAction(store, path, action);
 * ```
 */
export function recordAction<Result>(
  { workspace, hashes, files: read, storePaths }: ActionInputs,
  result: Result,
): CachedAction<Result> | undefined {
  if (workspace.catalog.problems.length > 0) return undefined;
  const state = workspaceCheckout(workspace, hashes.keys());
  if (state === undefined || !haveHashes(state, hashes)) return undefined;
  if (![...hashes.keys()].every((item) => hasFixedPaths(item))) return undefined;
  const others = otherDescriptions(workspace, hashes);
  const files = unchangedFiles([...read, ...workspaceFiles(workspace), ...others]);
  const matches = patternMatches(workspace);
  if (files === undefined || matches === undefined) return undefined;
  const { checkout, trees } = state;
  const part = {
    trees,
    files: {},
    matches,
    uses: [],
    names: {},
    storePaths: [...storePaths],
    result,
  };
  return { files, declared: {}, checkout, isPartial: false, parts: { '': part } };
}

/**
 * Reports whether packages have the sources that they had when they were hashed, and the build.yml
 * that was parsed before.
 */
export function haveHashes(
  state: CheckoutState,
  hashes: ReadonlyMap<Package, SourceHash>,
): boolean {
  return hashes
    .entries()
    .every(
      ([item, { committed, whole }]) =>
        (committed ?? whole) === sourceHashOf(state, sourceDirsOf(item)) &&
        fileState(join(item.dir, BUILD_YML)) === digestOf(item.file.text),
    );
}

/**
 * Reports whether a package's build.yml leads to the same directories as long as they have the same
 * files: no path is a symlink, which may get another target.
 * @param given build arguments of the command line
 */
export function hasFixedPaths(
  { extraSources, buildArgs }: Package,
  given: readonly BuildArg[] = [],
): boolean {
  const named = [...buildArgs, ...given].flatMap(namedDirs);
  return [...extraSources.map(({ source }) => source), ...named].every(isReal);
}

function isReal(dir: string): boolean {
  return realpathSync.native(dir) === dir;
}

/**
 * Returns the directories that each pattern in build arguments matches, of all packages that were
 * read. Undefined if one is a symlink, or has a package that was not read: it is new.
 * @param given build arguments of the command line
 */
export function patternMatches(
  { catalog }: Workspace,
  given: readonly BuildArg[] = [],
): Readonly<Record<string, readonly string[]>> | undefined {
  const known = [...catalog.known];
  const dirs = new Set(known.map(({ dir }) => dir));
  const args = [...known.flatMap(({ buildArgs }) => buildArgs), ...given];
  const patterns = new Set(args.flatMap(namedPattern));
  const matches = Object.fromEntries(
    [...patterns].map((pattern) => [pattern, matchDirs(pattern)] as const),
  );
  const wereRead = Object.values(matches)
    .flat()
    .every((dir) => isReal(dir) && (dirs.has(dir) || !existsSync(join(dir, BUILD_YML))));
  return wereRead ? matches : undefined;
}

/** Returns the states of files, or undefined if one has changed since it was read. */
export function unchangedFiles(
  files: Iterable<readonly [path: string, state: FileState | undefined]>,
): Readonly<Record<string, FileState>> | undefined {
  const states: Record<string, FileState> = {};
  for (const [file, state] of files) {
    if (state === undefined || state !== fileState(file)) return undefined;
    states[file] = state;
  }
  return states;
}

/**
 * Returns the state of the sources of packages; undefined if it cannot be tracked: with a
 * collection in git.
 */
export function workspaceCheckout(
  workspace: Workspace,
  packages: Iterable<Package>,
): CheckoutState | undefined {
  if (workspace.buildYml !== BUILD_YML) return undefined;
  const dirs = workspaceDirs(workspace);
  if (dirs === undefined) return undefined;
  const checkout = checkoutState(dirs, [...packages].flatMap(sourceDirsOf), workspace.git.env);
  return checkout?.checkout.top === workspace.gitTop ? checkout : undefined;
}

function workspaceDirs({
  openedFrom,
  root,
  spec,
  collections,
}: Workspace): WorkspaceDirs | undefined {
  const all = withInner(collections.values());
  if (!all.every(({ isPlain }) => isPlain)) return undefined;
  return {
    start: openedFrom,
    root,
    patterns: spec?.packages,
    collections: all.map(({ root: dir, places, workspaceSpec }) => ({
      root: dir,
      places,
      patterns: workspaceSpec?.packages,
    })),
  };
}

/** Returns the states of the files that make a workspace: present and absent ones. */
export function workspaceFiles({
  start,
  root,
  gitTop,
  collections,
}: Workspace): ReadonlyMap<string, FileState | undefined> {
  const dirs = [root, ...withInner(collections.values()).map((one) => one.root)];
  for (let dir = start; ; dir = dirname(dir)) {
    dirs.push(dir);
    if (dir === gitTop || dirname(dir) === dir) break;
  }
  return fileStates(dirs.flatMap((dir) => [join(dir, WORKSPACE_FILE), join(dir, COLLECTION_FILE)]));
}

/** Returns the directories that the source hash of a package covers, without symlinks. */
export function sourceDirsOf({ dir, extraSources }: Package): readonly string[] {
  return [dir, ...extraSources.map(({ source }) => realpathSync(source))];
}

/** Writes an entry of the action cache. Does nothing if the store is not writable. */
export async function storeAction(
  store: Store,
  path: string,
  action: CachedAction<unknown>,
): Promise<void> {
  try {
    await store.putSealed(path, JSON.stringify(action));
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
  }
}

/**
 * Returns the state of the store's index, which maps names to digests. Read it before you resolve a
 * tag, so that a later change is noticed.
 * @param paths more files to include
 */
export function storeState(
  store: Store,
  paths: Iterable<string> = [],
): ReadonlyMap<string, FileState | undefined> {
  return fileStates([indexPath(store.dir), ...paths]);
}

/** Returns the states, as they were read, of the build.yml of packages without a source hash. */
function otherDescriptions(
  { catalog }: Workspace,
  hashes: ActionInputs['hashes'],
): ReadonlyMap<string, FileState> {
  const hashed = new Set([...hashes.keys()].map(({ dir }) => dir));
  const others = [...catalog.descriptions()].filter(([dir]) => !hashed.has(dir));
  return new Map(others.map(([dir, { text }]) => [join(dir, BUILD_YML), digestOf(text)]));
}

/**
 * Returns the states of trust policies that do not exist, for a workspace and the directories of
 * configs. A build under a policy is not cached, nor one below a symlink, whose target may change.
 */
export function noTrustFiles(
  workspace: Workspace,
  dirs: readonly string[] = [],
): ReadonlyMap<string, FileState | undefined> {
  const roots = withInner(workspace.collections.values()).map(({ root }) => root);
  const found = trustFileDirs([...policyDirs(workspace), ...dirs]);
  return new Map([
    ...[...found.dirs, ...roots].map((dir) => [policiesOf(dir), 'absent'] as const),
    ...found.links.map((path) => [path, undefined] as const),
  ]);
}
