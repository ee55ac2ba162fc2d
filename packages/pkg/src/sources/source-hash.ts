import { createHash, type Hash } from 'node:crypto';
import { createReadStream, lstatSync, readFileSync, realpathSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ReadContent } from '@lkt/builder/inputs';
import { Digester, digestOf, isErrno, LktError } from '@lkt/core';
import {
  filesAsCommitted,
  findTop,
  type Git,
  gitTreeId,
  isInside,
  isUnder,
  readPlainDirectory,
  readRepository,
  readTrees,
  type Repository,
} from '@lkt/git';
import type { WholeDirectories } from '@lkt/git/plain';
import { exists, isSettled } from '@lkt/oci/files';
import { combineTrees } from './combine-trees.ts';

export interface SourceHash {
  /**
   * The hash in LinuxKit's tags: the git tree of the directory in HEAD; with extra sources, SHA-1
   * over the ids of all trees. Ends in `-dirty-` and seven digits if the work tree differs from
   * HEAD. Empty outside git.
   */
  readonly hash: string;
  /** The value of `hash` after committing all current changes. Undefined outside git. */
  readonly committed: string | undefined;
  /** Whether the package or one of its extra sources differs from HEAD. */
  readonly dirty: boolean;
  /**
   * Outside git, if asked for: the value of `committed` if git tracked all files, so that a change
   * is noticed. Undefined if that would read too much.
   */
  readonly whole?: string | undefined;
}

/** LinuxKit's flags of the same names. */
export interface HashOptions {
  readonly hash?: string | undefined;
  readonly hashCommit?: string | undefined;
  readonly hashPath?: string | undefined;
  readonly forceDirty?: boolean | undefined;
}

export interface HashSubject extends HashOptions {
  readonly dir: string;
  /** Reads `whole` outside git. */
  readonly whole?: WholeDirectories | undefined;
  /** Absolute directories, in the order of build.yml. */
  readonly extraSources: readonly string[];
}

/** The state of the repositories that subjects are in. */
interface Checkouts {
  readonly git: Git;
  /** By directory. */
  readonly repositories: ReadonlyMap<string, Repository>;
  /** Tree ids, as if committed now, of directories that have changes or are missing in HEAD. */
  readonly previews: Promise<ReadonlyMap<string, string>>;
  readonly signal: AbortSignal | undefined;
  readonly onRead: OnRead;
}

/** Called with each file that is read for a source hash; the path is absolute. */
export type OnRead = (path: string, read: ReadContent) => void;

/**
 * Returns the source hashes of many directories, in the order of `subjects`, with few calls of git.
 * @param known result of `readRepositories` for all directories of the subjects
 * @throws GIT_FAILED, TOOL_MISSING
 * @throws CONFIG_INVALID if `hashPath` does not contain the directory
 * @example
 * ```ts
 * const [source] = await sourceHashes(git, [{ dir: 'pkg/sshd', extraSources: [] }]);
 * ```
 */
export async function sourceHashes(
  git: Git,
  subjects: readonly HashSubject[],
  signal?: AbortSignal,
  known?: ReadonlyMap<string, Repository>,
  onRead: OnRead = () => undefined,
): Promise<readonly SourceHash[]> {
  const resolved = subjects.map(resolveSubject);
  const dirs = resolved.flatMap((subject) => subject.trees);
  const repositories = known ?? (await readRepositories(git, dirs, signal));
  const previews = previewTrees(git, repositories, signal);
  const checkouts = { git, repositories, previews, signal, onRead };
  const hashes = Promise.all(resolved.map((subject) => hashOne(subject, checkouts)));
  await Promise.all([previews, hashes]);
  return hashes;
}

interface Subject {
  readonly options: Omit<HashSubject, 'extraSources'>;
  /** The package's directory. */
  readonly dir: string;
  /** The directories whose git trees are hashed: `hashPath` or `dir`, and the extra sources. */
  readonly trees: readonly [string, ...string[]];
}

/** Synchronous, because the thread pool takes ten times as long for each path. */
function resolveSubject({ extraSources, ...options }: HashSubject): Subject {
  const { hashPath } = options;
  const realpath = realpathSync.native;
  const dir = realpath(options.dir);
  const tree = hashPath === undefined ? dir : realpath(resolve(hashPath));
  if (!isInside(dir, tree))
    throw new LktError('CONFIG_INVALID', `${hashPath ?? ''} is not a parent of ${options.dir}`, {
      fix: 'set --hash-path to the directory of the package or a parent of it',
    });
  const extra = extraSources.map((path) => realpath(path));
  return { options, dir, trees: [tree, ...extra] };
}

/**
 * Returns the repository of each directory. Omits directories outside git.
 * @param top top of a work tree that is known already
 * @param plainRoots directories whose files count as committed
 */
export async function readRepositories(
  git: Git,
  dirs: readonly string[],
  signal?: AbortSignal,
  top?: string,
  plainRoots: readonly string[] = [],
): Promise<ReadonlyMap<string, Repository>> {
  const tops = new Map<string, string[]>(top === undefined ? [] : [[top, []]]);
  const result = new Map<string, Repository>();
  for (const root of plainRoots) {
    const inside = dirs.filter((dir) => isInside(dir, root));
    const repository = readPlainDirectory(root, inside);
    for (const dir of inside) result.set(dir, repository);
  }
  for (const dir of new Set(dirs)) {
    if (result.has(dir)) continue;
    const found = knownTop([...tops.keys()], dir) ?? (await findTop(git, dir));
    if (found !== undefined) tops.set(found, [...(tops.get(found) ?? []), dir]);
  }
  await Promise.all(
    [...tops].map(async ([root, inside]) => {
      if (inside.length === 0) return;
      const repository = await readRepository(git, root, inside, signal);
      for (const dir of inside) result.set(dir, repository);
    }),
  );
  return result;
}

/**
 * Returns the element of `tops` that contains `dir`, without asking git. Undefined if `dir` is in a
 * nested repository.
 */
function knownTop(tops: readonly string[], dir: string): string | undefined {
  const top = tops.find((candidate) => isInside(dir, candidate));
  if (top === undefined) return undefined;
  for (let at = dir; at !== top; at = dirname(at)) if (exists(join(at, '.git'))) return undefined;
  return top;
}

async function previewTrees(
  git: Git,
  repositories: ReadonlyMap<string, Repository>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, string>> {
  const stale = [...repositories].filter(([dir, repository]) => isStale(dir, repository));
  const result = new Map<string, string>();
  for (const [repository, pairs] of Map.groupBy(stale, (pair) => pair[1])) {
    const dirs: string[] = [];
    for (const [dir] of pairs) {
      const known = repository.currentTree(repository.pathOf(dir));
      if (known === undefined) dirs.push(dir);
      else result.set(dir, known);
    }
    if (dirs.length === 0) continue;
    const files = await filesAsCommitted(git, repository.root, dirs, signal);
    for (const dir of dirs) {
      const path = repository.pathOf(dir);
      const skip = path === '' ? 0 : path.length + 1;
      const inside = files
        .filter((file) => isUnder(file.path, path))
        .map((file) => ({ ...file, path: file.path.slice(skip) }));
      result.set(dir, gitTreeId(inside));
    }
  }
  return result;
}

/** Reports whether a directory has changes, or is missing in HEAD. */
function isStale(dir: string, repository: Repository): boolean {
  const path = repository.pathOf(dir);
  return repository.headTree(path) === undefined || repository.isChanged(path);
}

async function hashOne(
  { options, dir, trees }: Subject,
  checkouts: Checkouts,
): Promise<SourceHash> {
  const { repositories, onRead } = checkouts;
  const [tree, ...extra] = trees;
  const repository = repositories.get(tree);
  if (repository === undefined)
    return {
      hash: options.hash ?? '',
      committed: undefined,
      dirty: options.forceDirty ?? false,
      whole: options.whole && wholeHash(trees, options.whole),
    };
  const commit = options.hashCommit ?? 'HEAD';
  const previews = await checkouts.previews;
  const isDifferent = commit === 'HEAD' && isDirty(tree, repository, previews);
  const dirty = options.forceDirty === true || isDifferent;
  const current: string[] = [];
  const inCommit: string[] = [];
  for (const one of trees) {
    const inside = repositories.get(one);
    if (inside === undefined)
      throw new LktError('GIT_FAILED', `the extra source ${one} is not in git`, {
        fix: 'move it into the repository, or remove it from extra-sources',
      });
    const head = inside.headTree(inside.pathOf(one));
    const now = previews.get(one) ?? head ?? '';
    current.push(now);
    inCommit.push(commit === 'HEAD' ? (head ?? now) : await treeIn(commit, one, inside, checkouts));
  }
  let { hash } = options;
  if (hash === undefined) {
    hash = combineTrees(inCommit);
    if (dirty) hash += `-dirty-${(await contentHash(dir, repository, onRead)).slice(0, 7)}`;
  }
  const isExtraDirty = extra.some((one) => previews.has(one));
  return { hash, committed: combineTrees(current), dirty: dirty || isExtraDirty };
}

/** Returns the hash of directories with all their files; undefined if that reads too much. */
function wholeHash(dirs: readonly string[], whole: WholeDirectories): string | undefined {
  const trees = dirs.map((dir) => whole.tree(dir));
  return trees.includes(undefined) ? undefined : combineTrees(trees.map((tree) => tree ?? ''));
}

async function treeIn(
  commit: string,
  dir: string,
  repository: Repository,
  { git, signal }: Checkouts,
): Promise<string> {
  const path = repository.pathOf(dir);
  const id = (await readTrees(git, repository.root, [path], commit, signal)).get(path);
  if (id === undefined) throw new LktError('GIT_FAILED', `${dir} is not in commit ${commit}`);
  return id;
}

/**
 * Reports whether the work tree differs from HEAD or has untracked files, by LinuxKit's definition.
 * Unlike `git status`, does not count a staged change that the work tree reverts.
 */
function isDirty(
  dir: string,
  repository: Repository,
  previews: ReadonlyMap<string, string>,
): boolean {
  const path = repository.pathOf(dir);
  const head = repository.headTree(path);
  if (head === undefined || repository.hasUntracked(path)) return true;
  return (previews.get(dir) ?? head) !== head;
}

/**
 * Returns the SHA-256 over the contents of the regular files, concatenated in git's order, as hex.
 */
async function contentHash(dir: string, repository: Repository, onRead: OnRead): Promise<string> {
  const top = repository.pathOf(dir);
  const skip = top === '' ? 0 : top.length + 1;
  const hash = createHash('sha256');
  for (const { path } of repository.files(top)) {
    const name = path.slice(skip);
    // LinuxKit lists files without -z, so it cannot open names that git quotes.
    if (QUOTED.test(name)) continue;
    await addContent(hash, join(dir, name), onRead);
  }
  return hash.digest('hex');
}

/** Longer files are read with a stream, which takes longer to begin. */
const CHUNK = 1024 * 1024;

async function addContent(hash: Hash, path: string, onRead: OnRead): Promise<void> {
  try {
    const stats = lstatSync(path);
    if (!stats.isFile()) return;
    if (stats.size <= CHUNK) {
      const content = readFileSync(path);
      hash.update(content);
      if (isWhole(stats, content.length)) onRead(path, { stats, content: digestOf(content) });
      return;
    }
    const digester = new Digester();
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) {
      hash.update(chunk as Buffer);
      digester.update(chunk as Buffer);
    }
    if (isWhole(stats, digester.size)) onRead(path, { stats, content: digester.digest() });
  } catch (error) {
    // The file was deleted, but is still in the index.
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
  }
}

/** Reports whether a later change of a file that was read shows in its stats. */
function isWhole(stats: Stats, length: number): boolean {
  return stats.size === length && isSettled(stats);
}

// oxlint-disable-next-line no-control-regex -- control characters are what git quotes
const QUOTED = /[\u0000-\u001f"\\\u007f-\u00ff]/;
