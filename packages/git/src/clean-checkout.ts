import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './command.ts';
import { findGitDirectory, type GitDirectory, headCommit } from './directory.ts';
import { type IndexEntry, readIndex } from './index-file.ts';
import { ObjectDatabase } from './object-database.ts';
import { parseCommit, parseTree } from './objects.ts';
import { gitTreeId } from './tree-id.ts';

/** Directories of a work tree in which nothing differs from HEAD. */
export interface CleanCheckout {
  /** Ids of the directories' trees, by their paths. */
  readonly trees: ReadonlyMap<string, string>;
  /** Everything in them; paths from the top. */
  readonly files: readonly Pick<IndexEntry, 'path' | 'mode'>[];
}

/**
 * More than this are left to git, which looks at files with several threads. What git finds cannot be told again without it, so
 * each file is then also read.
 */
const FILES_LIMIT = 20_000;

/** The top of the work tree that `dir` is in; undefined if that is not plain to see. */
export function findPlainTop(dir: string, env: Environment): string | undefined {
  return attempt(() => findGitDirectory(dir, env)?.top);
}

/**
 * Answers without git, in a tenth of the time, what is asked most: that nothing has changed. By the means of git: what
 * the index says of each file, and the trees of the commit. undefined if something has changed or is not that simple,
 * such as files that are ignored; then git has to say what it is.
 * @param top of the work tree; without symlinks
 * @param paths of directories from the top; '' for the top itself; one char per byte
 */
export function readCleanCheckout(
  top: string,
  paths: readonly string[],
  env: Environment,
): CleanCheckout | undefined {
  return attempt(() => {
    const found = findGitDirectory(top, env);
    return found?.top === top ? readClean(found, paths) : undefined;
  });
}

/** Whatever goes wrong, git says it better. */
function attempt<T>(work: () => T | undefined): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function readClean(found: GitDirectory, paths: readonly string[]): CleanCheckout | undefined {
  const commit = headCommit(found);
  if (commit === undefined) return undefined;
  const prefixes = paths.map((path) => (path === '' ? '' : `${path}/`));
  const isWanted = (path: string): boolean => prefixes.some((prefix) => path.startsWith(prefix));
  const files = readIndex(join(found.own, 'index'), isWanted);
  if (files === undefined || files.length > FILES_LIMIT) return undefined;
  const head = new HeadTrees(new ObjectDatabase(join(found.common, 'objects')), commit);
  const trees = new Map<string, string>();
  for (const [index, path] of paths.entries()) {
    const prefix = prefixes[index] ?? '';
    const inside = files
      .filter((file) => file.path.startsWith(prefix))
      .map(({ path: whole, mode, id }) => ({ path: whole.slice(prefix.length), mode, id }));
    const id = head.tree(path);
    if (inside.length === 0 || id === undefined || gitTreeId(inside) !== id) return undefined;
    trees.set(path, id);
  }
  const outermost = paths.filter(
    (path) =>
      !paths.some((other) => other !== path && (other === '' || path.startsWith(`${other}/`))),
  );
  const nodes = asTree(files);
  for (const path of outermost) {
    const node = path === '' ? nodes : nodeAt(nodes, path);
    const dir = join(found.top, fromBytes(path));
    if (node === undefined || !isUnchanged(dir, node, path === '')) return undefined;
  }
  return { trees, files };
}

/** The trees of a commit. */
class HeadTrees {
  readonly #objects: ObjectDatabase;
  readonly #commit: string;
  /** By path. */
  readonly #known = new Map<string, ReadonlyMap<string, string>>();

  constructor(objects: ObjectDatabase, commit: string) {
    this.#objects = objects;
    this.#commit = commit;
  }

  /** The id of the tree of a directory. */
  tree(path: string): string | undefined {
    if (path === '') return this.#top();
    const slash = path.lastIndexOf('/');
    return this.#directories(path.slice(0, Math.max(slash, 0)))?.get(path.slice(slash + 1));
  }

  #top(): string | undefined {
    const object = this.#objects.read(this.#commit);
    if (object?.type !== 'commit') return undefined;
    return parseCommit(object.content).tree;
  }

  /** Ids of the directories in a directory, by name. */
  #directories(path: string): ReadonlyMap<string, string> | undefined {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const id = this.tree(path);
    const object = id === undefined ? undefined : this.#objects.read(id);
    if (id === undefined || object?.type !== 'tree') return undefined;
    const found = new Map<string, string>();
    for (const { mode, name, id: child } of parseTree(id, object.content))
      if (mode === '40000') found.set(name, child);
    this.#known.set(path, found);
    return found;
  }
}

type Directory = Map<string, Directory | IndexEntry>;

function asTree(files: readonly IndexEntry[]): Directory {
  const root: Directory = new Map();
  for (const file of files) {
    const slash = file.path.lastIndexOf('/');
    const directory = slash === -1 ? root : makeDirectory(root, file.path.slice(0, slash));
    directory.set(file.path.slice(slash + 1), file);
  }
  return root;
}

function makeDirectory(root: Directory, path: string): Directory {
  let at = root;
  for (const name of path.split('/')) {
    const next = at.get(name);
    if (next instanceof Map) {
      at = next;
    } else {
      const made: Directory = new Map();
      at.set(name, made);
      at = made;
    }
  }
  return at;
}

function nodeAt(root: Directory, path: string): Directory | undefined {
  let at: Directory | undefined = root;
  for (const name of path.split('/')) {
    const next: Directory | IndexEntry | undefined = at?.get(name);
    at = next instanceof Map ? next : undefined;
  }
  return at;
}

/** Whether a directory holds exactly what the index says, and each file of it is as it was added. */
function isUnchanged(dir: string, known: Directory, isTop: boolean): boolean {
  let seen = 0;
  for (const name of readdirSync(dir, 'latin1')) {
    if (isTop && name === '.git') continue;
    const node = known.get(name);
    if (node === undefined) return false;
    seen += 1;
    const path = join(dir, fromBytes(name));
    const stats = lstatSync(path, { bigint: true });
    if (node instanceof Map) {
      if (!stats.isDirectory() || !isUnchanged(path, node, false)) return false;
    } else if (!node.matches(stats)) return false;
  }
  return seen === known.size;
}

function fromBytes(text: string): string {
  return Buffer.from(text, 'latin1').toString();
}
