import { lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, LktError } from '@lkt/core';
import type { Environment } from '@lkt/git/work-tree';
import { touch } from '@lkt/oci/files';
import { matchDirs } from '../build-yml/match-dirs.ts';
import { policyNamesIn } from '../workspace/policy-names.ts';
import { declaredName } from '../workspace/unparsed-packages.ts';
import { type Checkout, currentTrees, type Trees } from './checkout-state.ts';

export { reportCached } from './report-cached.ts';

/** An entry of the action cache: the inputs that an action read, and its results. */
export interface CachedAction<Result> {
  /** The state of each file that all parts read, by absolute path. */
  readonly files: FileStates;
  /** The name in each build.yml, by absolute path; empty if `files` has them. */
  readonly declared: FileStates;
  readonly checkout: Checkout;
  /** The store whose names the parts list, and the state of its index with them. */
  readonly store?: { readonly dir: string; readonly index: FileState };
  /** Whether other parts of the action have no entry. */
  readonly isPartial: boolean;
  /** By their ids. */
  readonly parts: Readonly<Record<string, ActionPart<Result>>>;
}

/** A part of an action with inputs of its own, such as one package of several. */
export interface ActionPart<Result> {
  readonly trees: Trees;
  /** The state of further files that it read. */
  readonly files: FileStates;
  /** The directories that patterns in build arguments match, by absolute pattern. */
  readonly matches: Readonly<Record<string, readonly string[]>>;
  /** The ids of the parts whose results it used. */
  readonly uses: readonly string[];
  /** Names in the store that it used or set, and their digests. */
  readonly names: Readonly<Record<string, string>>;
  /** Paths in the store that it used. */
  readonly storePaths: readonly string[];
  readonly result: Result;
}

type FileStates = Readonly<Record<string, FileState>>;

/** The parts of a cached action whose inputs are unchanged. */
export interface FoundAction<Result> extends CachedAction<Result> {
  /** Whether they are all parts of the action. */
  readonly isWhole: boolean;
}

/**
 * Returns a cached action with the parts whose inputs are unchanged, or undefined if there is no
 * entry, or an input of all parts has changed. Marks the store paths of these parts as used. Loads
 * little code, because a command without work to do spends most of its time here.
 * @param entry the text that `storeAction` wrote, undefined without an entry
 * @param env the environment that configures git
 * @example
 * ```ts
 * const entry = store.sealed.read(join(store.dir, 'actions', key));
 * const found = await findAction<Summary>(entry, process.env);
 * if (found?.isWhole) return Object.values(found.parts).map(({ result }) => result);
 * ```
 */
export async function findAction<Result>(
  entry: string | undefined,
  env: Environment,
): Promise<FoundAction<Result> | undefined> {
  const action = parseAction<Result>(entry);
  if (action === undefined) return undefined;
  try {
    for (const file in action.files) if (fileState(file) !== action.files[file]) return undefined;
    for (const file in action.declared)
      if (declaredIn(file) !== action.declared[file]) return undefined;
    const keys = Object.values(action.parts).flatMap(({ trees }) => Object.keys(trees));
    const trees = currentTrees(action.checkout, [...new Set(keys)], env);
    if (trees === undefined) return undefined;
    const check = new PartCheck(action.parts, trees, await changedNames(action));
    const all = Object.entries(action.parts);
    const parts = all.filter(([id]) => check.isCurrent(id));
    const isWhole = parts.length === all.length && !action.isPartial;
    return { ...action, parts: Object.fromEntries(parts), isWhole };
  } catch (error) {
    // The command itself reports an unreadable file better.
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error))
      return undefined;
    throw error;
  }
}

/** Returns the result of an action of one part, or undefined as `findAction`. */
export async function findResult<Result>(
  entry: string | undefined,
  env: Environment,
): Promise<Result | undefined> {
  const found = await findAction<Result>(entry, env);
  return found && Object.values(found.parts)[0]?.result;
}

function parseAction<Result>(entry: string | undefined): CachedAction<Result> | undefined {
  try {
    const action =
      entry === undefined ? undefined : (JSON.parse(entry) as Partial<CachedAction<Result>>);
    // Another version of lkt may have written an entry outside of a store.
    return action?.parts === undefined ? undefined : (action as CachedAction<Result>);
  } catch {
    // A crash truncated an entry outside of a store.
    return undefined;
  }
}

/** Returns the names in the store, if they may have changed since. */
async function changedNames({
  store,
}: CachedAction<unknown>): Promise<ReadonlyMap<string, string> | undefined> {
  if (store === undefined || fileState(indexPath(store.dir)) === store.index) return undefined;
  const { readTags } = await import('@lkt/oci');
  return new Map(
    (await readTags(store.dir)).map(({ reference, descriptor }) => [reference, descriptor.digest]),
  );
}

/** Returns the path of a store's index, which maps names to digests. */
export function indexPath(store: string): string {
  return join(store, 'index.json');
}

/** Finds the parts whose inputs are unchanged. Looks at each part and path once. */
class PartCheck {
  readonly #parts: CachedAction<unknown>['parts'];
  readonly #trees: Trees;
  readonly #names: ReadonlyMap<string, string> | undefined;
  readonly #known = new Map<string, boolean>();
  readonly #touched = new Map<string, boolean>();
  readonly #matches = new Map<string, string>();

  /** @param names the names in the store; undefined if they are unchanged */
  constructor(
    parts: CachedAction<unknown>['parts'],
    trees: Trees,
    names: ReadonlyMap<string, string> | undefined,
  ) {
    this.#parts = parts;
    this.#trees = trees;
    this.#names = names;
  }

  isCurrent(id: string): boolean {
    const part = this.#parts[id];
    const found = this.#known.get(id) ?? (part !== undefined && this.#check(part));
    this.#known.set(id, found);
    return found;
  }

  #check({ trees, files, matches, uses, names, storePaths }: ActionPart<unknown>): boolean {
    return (
      Object.entries(trees).every(([key, tree]) => this.#trees[key] === tree) &&
      Object.entries(matches).every(([pattern, dirs]) => this.#isMatch(pattern, dirs)) &&
      uses.every((id) => this.isCurrent(id)) &&
      (this.#names === undefined ||
        Object.entries(names).every(([name, digest]) => this.#names?.get(name) === digest)) &&
      Object.entries(files).every(([path, state]) => fileState(path) === state) &&
      storePaths.every((path) => this.#touch(path))
    );
  }

  #isMatch(pattern: string, dirs: readonly string[]): boolean {
    const found = this.#matches.get(pattern) ?? matchDirs(pattern).join('\0');
    this.#matches.set(pattern, found);
    return found === dirs.join('\0');
  }

  #touch(path: string): boolean {
    const found = this.#touched.get(path) ?? touch(path);
    this.#touched.set(path, found);
    return found;
  }
}

/** Larger files are not hashed: hashing would take longer than the action that the cache skips. */
const MAX_SIZE = 16 * 2 ** 20;

/** The SHA-256 digest of a file, or `absent`. */
export type FileState = string;

/**
 * Returns the path whose state is the names of trust policies in a directory, also misspelt ones.
 */
export function policiesOf(dir: string): string {
  return dir.endsWith('/') ? dir : `${dir}/`;
}

/**
 * Returns the state of a file, or of `policiesOf` a directory; undefined if it cannot be tracked:
 * it is not a regular file, is longer than 16 MiB, cannot be read, or is a dangling symlink.
 */
export function fileState(path: string): FileState | undefined {
  try {
    if (path.endsWith('/')) {
      const names = policyNamesIn(path);
      return names.length === 0 ? 'absent' : digestOf(names.join('/'));
    }
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined)
      return lstatSync(path, { throwIfNoEntry: false }) === undefined ? 'absent' : undefined;
    return stats.isFile() && stats.size <= MAX_SIZE ? digestOf(readFileSync(path)) : undefined;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error))
      return undefined;
    throw error;
  }
}

/** Returns the `declaredName` of a build.yml, or undefined if it cannot be read. */
export function declaredIn(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  const isRead = stats?.isFile() === true && stats.size <= MAX_SIZE;
  return isRead ? declaredName(readFileSync(path, 'utf8')) : undefined;
}

/** Returns the state of each file, keyed by path. */
export function fileStates(paths: Iterable<string>): ReadonlyMap<string, FileState | undefined> {
  return new Map([...paths].map((path) => [path, fileState(path)]));
}
