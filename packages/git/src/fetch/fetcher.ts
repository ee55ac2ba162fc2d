import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LktError } from '@lkt/core';
import {
  type EntryWithContent,
  fromRaw,
  type Layer,
  type RawPath,
  type Store,
  toRaw,
  writeLayer,
} from '@lkt/oci';
import type { Environment } from '../command.ts';
import { BareRepository, PROTOCOLS } from './bare-repository.ts';
import { CatFile } from './cat-file.ts';
import { type GitCheckout, CommitFiles, readCommit } from './commit-files.ts';
import { commitsOf } from './resolve-ref.ts';
import { submoduleUrl } from './submodules.ts';

/** A limit, because a repository can be its own submodule. */
const MAX_DEPTH = 10;
const MAX_SUBMODULES = 200;

/** The files of a commit in a remote repository. */
export interface RemoteTree {
  /** The URL that git fetches from. */
  readonly remote: string;
  /** 40 hexadecimal digits, or 64 in a repository that uses SHA-256. */
  readonly commit: string;
  /** A branch or tag that must point to the commit. */
  readonly ref: string | undefined;
  /**
   * The directory whose files are copied, without leading and trailing slashes; `''` for all files.
   */
  readonly directory: string;
  readonly submodules: boolean;
  /** The modification time of the files: a constant, or the time of the commit. */
  readonly time: 'epoch' | 'commit';
}

/** Fetches commits, each into its own repository below a directory. */
export class GitFetcher implements AsyncDisposable {
  readonly #directory: string;
  readonly #env: Environment;
  readonly #signal: AbortSignal | undefined;
  readonly #open: CatFile[] = [];
  #count = 0;

  constructor(directory: string, env: Environment, signal: AbortSignal | undefined) {
    this.#directory = directory;
    this.#env = env;
    this.#signal = signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const objects of this.#open) await objects[Symbol.asyncDispose]();
  }

  /**
   * Fetches a commit and writes its files to the store as a layer.
   * @throws NOT_FOUND if the commit, ref or directory does not exist
   * @throws DIGEST_MISMATCH if the ref points to another commit
   * @throws GIT_FAILED if the fetch fails
   * @throws IMAGE_INVALID for invalid repositories, or over the limits
   * @example
   * ```ts
   * await using fetcher = new GitFetcher(temporaryDirectory, process.env, signal);
   * const layer = await fetcher.fetchLayer(source, store);
   * ```
   */
  async fetchLayer(source: RemoteTree, store: Store): Promise<Layer> {
    return writeLayer(store, await this.#entries(source), { signal: this.#signal });
  }

  /**
   * Fetches a commit and writes its files to a new directory, with modes 644 and 755. Symlinks are
   * written last, so no file is written through one.
   * @throws IO_FAILED, and the errors of `fetchLayer`
   */
  async fetchFiles(source: RemoteTree, directory: string): Promise<void> {
    const links: { readonly path: string; readonly link: string }[] = [];
    try {
      await mkdir(directory);
      for await (const entry of await this.#entries(source)) {
        const path = join(directory, fromRaw(entry.path));
        if (entry.type === 'directory') await mkdir(path, { recursive: true });
        else if (entry.type === 'symlink') links.push({ path, link: fromRaw(entry.link ?? '') });
        else if (entry.type === 'file') {
          await mkdir(dirname(path), { recursive: true });
          await writeFile(path, entry.content ?? '', { mode: entry.mode, flag: 'wx' });
        }
      }
      for (const { path, link } of links) await symlink(link, path);
    } catch (cause) {
      if (cause instanceof LktError) throw cause;
      throw new LktError('IO_FAILED', `cannot write ${directory}`, { cause });
    }
  }

  async #entries(source: RemoteTree): Promise<AsyncGenerator<EntryWithContent>> {
    const { remote, commit, ref, submodules, directory, time } = source;
    const repository = await this.#repository(commit);
    if (ref !== undefined) await checkRef(repository, remote, ref, commit);
    const { checkout, committed } = await this.#checkout(repository, remote, commit, {
      submodules,
      depth: 0,
    });
    const files = new CommitFiles(time === 'commit' ? committed : Number.POSITIVE_INFINITY);
    return files.read(checkout, toRaw(directory));
  }

  async #repository(commit: string): Promise<BareRepository> {
    this.#count += 1;
    if (this.#count > MAX_SUBMODULES)
      throw new LktError(
        'IMAGE_INVALID',
        `the repository has more than ${MAX_SUBMODULES} submodules`,
      );
    const repository = new BareRepository(join(this.#directory, String(this.#count)), this.#env, {
      protocols: PROTOCOLS,
      signal: this.#signal,
    });
    await repository.init(commit);
    return repository;
  }

  async #checkout(
    repository: BareRepository,
    remote: string,
    commit: string,
    { submodules, depth }: { submodules: boolean; depth: number },
  ): Promise<{ checkout: GitCheckout; committed: number }> {
    await fetchCommit(repository, remote, commit);
    const objects = new CatFile(repository);
    this.#open.push(objects);
    const found = await readCommit(objects, commit);
    if (found === undefined) {
      throw new LktError('NOT_FOUND', `cannot fetch the commit ${commit} from ${remote}`, {
        fix: 'check the commit; some servers serve only commits that a branch or tag reaches',
      });
    }
    const { tree, time } = found;
    const inner = async (path: RawPath, id: string): Promise<GitCheckout> => {
      if (depth === MAX_DEPTH)
        throw new LktError('IMAGE_INVALID', `submodules are nested more than ${MAX_DEPTH} deep`);
      const address = await submoduleUrl(repository, { tree, path, parent: remote });
      const other = await this.#repository(id);
      const options = { submodules, depth: depth + 1 };
      return (await this.#checkout(other, address, id, options)).checkout;
    };
    const checkout = { objects, tree, submodule: submodules ? inner : undefined };
    return { checkout, committed: time };
  }
}

/** Fetches a commit without its history, which most servers allow; else all branches and tags. */
async function fetchCommit(
  repository: BareRepository,
  remote: string,
  commit: string,
): Promise<void> {
  const fetch = async (depth: readonly string[], specs: readonly string[]): Promise<Buffer> =>
    repository.run(
      [
        ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-gc', ...depth],
        ['--', remote, ...specs],
      ].flat(),
    );
  try {
    await fetch(['--depth=1'], [commit]);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'GIT_FAILED') throw error;
    await fetch([], ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*']);
  }
}

/** Checks that a tag or branch points to a commit; if both exist, one of them must. */
async function checkRef(
  repository: BareRepository,
  remote: string,
  ref: string,
  commit: string,
): Promise<void> {
  const commits = await commitsOf(repository, remote, ref);
  if (commits.includes(commit)) return;
  throw new LktError(
    'DIGEST_MISMATCH',
    `${ref} of ${remote} is ${commits.join(' and ')}, not ${commit}`,
    {
      fix: 'find out why it moved; if the new commit is right, write that one',
    },
  );
}

export { resolveRef } from './resolve-ref.ts';
