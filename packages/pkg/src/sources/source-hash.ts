import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import {
  createGit,
  type Environment,
  filesAsCommitted,
  findTop,
  type Git,
  gitTreeId,
  isInside,
  isUnder,
  readRepository,
  readTrees,
  splitRecords,
  type Repository,
} from '@lkt/git';
import { exists } from '@lkt/oci/files';
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
  /** Absolute directories, in the order of build.yml. */
  readonly extraSources: readonly string[];
}

/**
 * Returns the source hash of one directory.
 * @throws GIT_FAILED, TOOL_MISSING
 * @throws CONFIG_INVALID if `hashPath` does not contain the directory
 * @example
 * ```ts
 * const { hash, dirty } = await sourceHash('pkg/sshd', { env: process.env });
 * ```
 */
export async function sourceHash(
  dir: string,
  options: HashOptions & {
    readonly env: Environment;
    readonly extraSources?: readonly string[];
    readonly signal?: AbortSignal;
  },
): Promise<SourceHash> {
  const git = createGit(options.env);
  const subject = { ...options, dir, extraSources: options.extraSources ?? [] };
  const [result] = await sourceHashes(git, [subject], options.signal);
  if (result === undefined) throw new Error('no hash for the one subject');
  return result;
}

/**
 * Returns the source hashes of many directories, in the order of `subjects`, with few calls of git.
 * @param known result of `readRepositories` for all directories of the subjects
 */
export async function sourceHashes(
  git: Git,
  subjects: readonly HashSubject[],
  signal?: AbortSignal,
  known?: ReadonlyMap<string, Repository>,
): Promise<readonly SourceHash[]> {
  const resolved = await Promise.all(subjects.map(resolveSubject));
  const dirs = resolved.flatMap(({ tree, extra }) => [tree, ...extra]);
  const repositories = known ?? (await readRepositories(git, dirs, signal));
  const previews = await previewTrees(git, repositories, signal);
  return Promise.all(
    resolved.map((subject) => hashOne(git, subject, repositories, previews, signal)),
  );
}

interface Subject {
  readonly options: HashOptions;
  /** The package's directory. */
  readonly dir: string;
  /** The directory whose git tree is hashed: `hashPath` or `dir`. */
  readonly tree: string;
  readonly extra: readonly string[];
}

async function resolveSubject(subject: HashSubject): Promise<Subject> {
  const dir = await realpath(subject.dir);
  const tree = subject.hashPath === undefined ? dir : await realpath(resolve(subject.hashPath));
  if (!isInside(dir, tree)) {
    throw new LktError(
      'CONFIG_INVALID',
      `${subject.hashPath ?? ''} is not a parent of ${subject.dir}`,
      {
        fix: 'set --hash-path to the directory of the package or a parent of it',
      },
    );
  }
  return {
    options: subject,
    dir,
    tree,
    extra: await Promise.all(subject.extraSources.map((path) => realpath(path))),
  };
}

/**
 * Returns the repository of each directory. Omits directories outside git.
 * @param top top of a work tree that is known already
 */
export async function readRepositories(
  git: Git,
  dirs: readonly string[],
  signal?: AbortSignal,
  top?: string,
): Promise<ReadonlyMap<string, Repository>> {
  const tops = new Map<string, string[]>(top === undefined ? [] : [[top, []]]);
  for (const dir of new Set(dirs)) {
    const found = (await knownTop([...tops.keys()], dir)) ?? (await findTop(git, dir));
    if (found !== undefined) tops.set(found, [...(tops.get(found) ?? []), dir]);
  }
  const result = new Map<string, Repository>();
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
async function knownTop(tops: readonly string[], dir: string): Promise<string | undefined> {
  const top = tops.find((candidate) => isInside(dir, candidate));
  if (top === undefined) return undefined;
  for (let at = dir; at !== top; at = dirname(at)) {
    if (await exists(join(at, '.git'))) return undefined;
  }
  return top;
}

/** Returns the tree id, as if committed now, of every directory that is changed or not in HEAD. */
async function previewTrees(
  git: Git,
  repositories: ReadonlyMap<string, Repository>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, string>> {
  const stale = new Map<Repository, string[]>();
  for (const [dir, repository] of repositories) {
    const path = repository.pathOf(dir);
    if (repository.headTree(path) !== undefined && !repository.isChanged(path)) continue;
    stale.set(repository, [...(stale.get(repository) ?? []), dir]);
  }
  const result = new Map<string, string>();
  for (const [repository, dirs] of stale) {
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

async function hashOne(
  git: Git,
  subject: Subject,
  repositories: ReadonlyMap<string, Repository>,
  previews: ReadonlyMap<string, string>,
  signal: AbortSignal | undefined,
): Promise<SourceHash> {
  const { options, tree, extra } = subject;
  const repository = repositories.get(tree);
  if (repository === undefined)
    return { hash: options.hash ?? '', committed: undefined, dirty: options.forceDirty ?? false };
  const outside = extra.find((dir) => !repositories.has(dir));
  if (outside !== undefined) {
    throw new LktError('GIT_FAILED', `the extra source ${outside} is not in git`, {
      fix: 'move it into the repository, or remove it from extra-sources',
    });
  }
  const commit = options.hashCommit ?? 'HEAD';
  const inHead = commit === 'HEAD' && (await isDirty(git, repository, tree, signal));
  const dirty = options.forceDirty === true || inHead;
  const extraDirty = extra.some((dir) => isChanged(repositories, dir));
  const trees = await treesIn(git, commit, [tree, ...extra], repositories, previews, signal);
  const committed = combineTrees(
    [tree, ...extra].map((dir) => currentTree(repositories, previews, dir)),
  );
  let { hash } = options;
  if (hash === undefined) {
    hash = combineTrees(trees);
    if (dirty) hash += `-dirty-${(await contentHash(git, subject.dir, signal)).slice(0, 7)}`;
  }
  return { hash, committed, dirty: dirty || extraDirty };
}

async function treesIn(
  git: Git,
  commit: string,
  dirs: readonly string[],
  repositories: ReadonlyMap<string, Repository>,
  previews: ReadonlyMap<string, string>,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  return Promise.all(
    dirs.map(async (dir) => {
      const repository = repositories.get(dir);
      if (repository === undefined) throw new Error(`${dir} is in no repository`);
      const path = repository.pathOf(dir);
      if (commit === 'HEAD') return repository.headTree(path) ?? previews.get(dir) ?? '';
      const id = (await readTrees(git, repository.root, [path], commit, signal)).get(path);
      if (id === undefined) throw new LktError('GIT_FAILED', `${dir} is not in commit ${commit}`);
      return id;
    }),
  );
}

function currentTree(
  repositories: ReadonlyMap<string, Repository>,
  previews: ReadonlyMap<string, string>,
  dir: string,
): string {
  const repository = repositories.get(dir);
  return previews.get(dir) ?? repository?.headTree(repository.pathOf(dir)) ?? '';
}

function isChanged(repositories: ReadonlyMap<string, Repository>, dir: string): boolean {
  const repository = repositories.get(dir);
  if (repository === undefined) return false;
  const path = repository.pathOf(dir);
  return repository.headTree(path) === undefined || repository.isChanged(path);
}

/**
 * Reports whether the work tree differs from HEAD or has untracked files, by LinuxKit's definition.
 * Unlike `git status`, does not count a staged change that the work tree reverts.
 */
async function isDirty(
  git: Git,
  repository: Repository,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const path = repository.pathOf(dir);
  if (repository.headTree(path) === undefined || repository.hasUntracked(path)) return true;
  if (!repository.isChanged(path)) return false;
  const spec = path === '' ? '.' : Buffer.from(path, 'latin1').toString();
  const options = ['--no-ext-diff', '--no-textconv', '--ignore-submodules=dirty'];
  const diff = ['diff', ...options, '--exit-code', '--quiet', 'HEAD', '--', spec];
  return (await git.run(repository.root, diff, { exits: [1], signal })).exit === 1;
}

/**
 * Returns the SHA-256 over the contents of the regular files, concatenated in git's order, as hex.
 */
async function contentHash(
  git: Git,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const tracked = await git.run(dir, ['ls-files', '-z'], { signal });
  const others = await git.run(dir, ['ls-files', '-z', '--exclude-standard', '--others'], {
    signal,
  });
  const hash = createHash('sha256');
  for (const name of [...splitRecords(tracked.stdout), ...splitRecords(others.stdout)]) {
    // LinuxKit lists files without -z, so it cannot open names that git quotes.
    if (QUOTED.test(name)) continue;
    const path = join(dir, name);
    try {
      if (!(await lstat(path)).isFile()) continue;
      for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    } catch (error) {
      // The file was deleted, but is still in the index.
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
    }
  }
  return hash.digest('hex');
}

// oxlint-disable-next-line no-control-regex -- control characters are what git quotes
const QUOTED = /[\u0000-\u001f"\\\u007f-\u00ff]/;
