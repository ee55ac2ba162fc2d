import { realpath } from 'node:fs/promises';
import type { ContextFile } from '@lkt/build/inputs';
import { isErrno } from '@lkt/core';
import { contextFiles } from './context.ts';
import { isInside, type Repository } from './repository.ts';
import {
  type HashOptions,
  readRepositories,
  type SourceHash,
  sourceHashes,
} from './source-hash.ts';
import type { Package, Workspace } from './workspace.ts';

/** The sources of packages at one moment: hashes and build contexts, read with few calls of git for all of them. */
export interface Sources {
  readonly hash: (item: Package) => SourceHash;
  readonly context: (item: Package) => Promise<readonly ContextFile[]>;
  /** Files of the package that differ from the commit, as paths from the top of the work tree. */
  readonly changes: (item: Package) => readonly string[];
}

/** @throws LktError GIT_FAILED, TOOL_MISSING; CONFIG_INVALID at an extra source that is not there, or outside of the repository */
export async function readSources(
  workspace: Workspace,
  packages: Iterable<Package>,
  options: HashOptions & { readonly signal?: AbortSignal | undefined } = {},
): Promise<Sources> {
  const items = await Promise.all(
    [...packages].map(async (item) => ({ item, extra: await extraDirs(item) })),
  );
  const dirs = items.flatMap(({ item, extra }) => [item.dir, ...extra]);
  const known =
    options.hashPath === undefined
      ? await readRepositories(workspace.git, dirs, options.signal, workspace.gitTop)
      : undefined;
  for (const { item, extra } of items) checkInside(workspace, item, extra, known);
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

/** What is outside of the repository is not in a clone of it either. */
function checkInside(
  workspace: Workspace,
  item: Package,
  extra: readonly string[],
  repositories: ReadonlyMap<string, Repository> | undefined,
): void {
  const top = repositories?.get(item.dir)?.root ?? workspace.root;
  if (!isInside(item.dir, top)) return;
  for (const [index, dir] of extra.entries()) {
    if (isInside(dir, top)) continue;
    const message = `${workspace.displayPath(dir)} is outside of the repository, whose top is ${workspace.displayPath(top)}`;
    throw (
      item.extraSources[index]?.at.error(message, { fix: 'move it into the repository' }) ??
      new Error(message)
    );
  }
}

async function extraDirs(item: Package): Promise<string[]> {
  return Promise.all(
    item.extraSources.map(async ({ source, at }) => {
      try {
        return await realpath(source);
      } catch (error) {
        if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
        throw at.error('there is no such directory', { cause: error });
      }
    }),
  );
}
