import { realpath, stat } from 'node:fs/promises';
import { isInside, type Repository } from '@lkt/git';
import type { ContextFile } from '@lkt/builder/inputs';
import { isErrno, LktError } from '@lkt/core';
import { contextFiles } from './context.ts';
import {
  type HashOptions,
  readRepositories,
  type SourceHash,
  sourceHashes,
} from './source-hash.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** Hashes and build contexts of packages at one moment, read with few calls of git. */
export interface Sources {
  readonly hash: (item: Package) => SourceHash;
  readonly context: (item: Package) => Promise<readonly ContextFile[]>;
  /** Files of the package that differ from HEAD, as paths relative to the top of the work tree. */
  readonly changes: (item: Package) => readonly string[];
}

/**
 * Reads the sources of packages. The functions of the result throw the error of a package with
 * invalid extra sources.
 * @throws GIT_FAILED, TOOL_MISSING
 * @throws CONFIG_INVALID at an extra source that is missing or outside the repository
 */
export async function readSources(
  workspace: Workspace,
  packages: Iterable<Package>,
  options: HashOptions & { readonly signal?: AbortSignal | undefined } = {},
): Promise<Sources> {
  const problems = new Map<Package, LktError>();
  // An error of one package is thrown when that package is asked for.
  const note = (item: Package, error: unknown): [] => {
    if (!(error instanceof LktError)) throw error;
    problems.set(item, error);
    return [];
  };
  const all = await Promise.all(
    [...packages].map(async (item) =>
      extraDirs(item).then(
        (extra) => [{ item, extra }],
        (error: unknown) => note(item, error),
      ),
    ),
  );
  const read = all.flat();
  const dirs = read.flatMap(({ item, extra }) => [item.dir, ...extra]);
  const known =
    options.hashPath === undefined
      ? await readRepositories(workspace.git, dirs, options.signal, workspace.gitTop)
      : undefined;
  const items = read.filter(({ item, extra }) => {
    const problem = outsideProblem(workspace, item, extra, known);
    return problem === undefined || note(item, problem).length > 0;
  });
  const subjects = items.map(({ item, extra }) => ({
    ...options,
    dir: item.dir,
    extraSources: extra,
  }));
  const hashes = await sourceHashes(workspace.git, subjects, options.signal, known);
  const found = new Map(
    items.map(({ item, extra }, index) => [item, { extra, hash: hashes[index] }] as const),
  );
  const of = (item: Package): { extra: readonly string[]; hash: SourceHash } => {
    const problem = problems.get(item);
    if (problem !== undefined) throw problem;
    const { hash, extra } = found.get(item) ?? {};
    if (hash === undefined || extra === undefined) throw new Error(`${item.name} was not read`);
    return { extra, hash };
  };
  return {
    hash: (item) => of(item).hash,
    context: (item) => contextOf(workspace, item, of(item).extra, known ?? new Map()),
    changes: (item) => changesIn([item.dir, ...of(item).extra], known ?? new Map()),
  };
}

function changesIn(
  dirs: readonly string[],
  repositories: ReadonlyMap<string, Repository>,
): readonly string[] {
  const found = dirs.flatMap((dir) => {
    const repository = repositories.get(dir);
    return repository?.changes(repository.pathOf(dir)) ?? [];
  });
  return [...new Set(found)].map((path) => Buffer.from(path, 'latin1').toString());
}

function contextOf(
  workspace: Workspace,
  item: Package,
  extra: readonly string[],
  repositories: ReadonlyMap<string, Repository>,
): Promise<readonly ContextFile[]> {
  const roots = [
    { dir: item.dir, destination: '' },
    ...extra.map((dir, index) => ({
      dir,
      destination: item.extraSources[index]?.destination ?? '',
    })),
  ];
  return contextFiles(
    roots.map((root) => ({ ...root, repository: repositories.get(root.dir) })),
    item.dockerfile,
    (path) => workspace.displayPath(path),
  );
}

/** Returns an error if an extra source is outside the repository: a clone would lack it. */
function outsideProblem(
  workspace: Workspace,
  item: Package,
  extra: readonly string[],
  repositories: ReadonlyMap<string, Repository> | undefined,
): Error | undefined {
  const top = repositories?.get(item.dir)?.root ?? workspace.root;
  if (!isInside(item.dir, top)) return undefined;
  for (const [index, dir] of extra.entries()) {
    if (isInside(dir, top)) continue;
    const message = `${workspace.displayPath(dir)} is outside the repository ${workspace.displayPath(top)}`;
    const fix = 'move it into the repository';
    return item.extraSources[index]?.at.error(message, { fix }) ?? new Error(message);
  }
  return undefined;
}

async function extraDirs(item: Package): Promise<string[]> {
  return Promise.all(
    item.extraSources.map(async ({ source, at }) => {
      try {
        const path = await realpath(source);
        if ((await stat(path)).isDirectory()) return path;
      } catch (error) {
        if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
        throw at.error('no such directory', { cause: error });
      }
      throw at.error('not a directory', { fix: 'use the directory that contains it' });
    }),
  );
}
