import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { LktError } from '@lkt/core';
import { type Git, isInside, type Origin, readOrigin, readRepository } from '@lkt/git';
import { areCommitted } from '@lkt/git/work-tree';
import type { Workspace } from '@lkt/pkg';
import { inputFiles, type LoadedConfig } from './config/load-config.ts';

/**
 * Returns the repository and commit with the configs of an image; undefined if the commit lacks
 * one of them, or has another version of it.
 * @throws GIT_FAILED, TOOL_MISSING
 */
export async function configOrigin(
  { git, gitTop }: Workspace,
  loaded: LoadedConfig,
  signal: AbortSignal | undefined,
): Promise<Origin | undefined> {
  const files = inputFiles(loaded);
  if (gitTop === undefined || files.some(({ isRemote }) => isRemote === true)) return undefined;
  // One from standard input is not a file.
  if (!files.every(({ absolute }) => existsSync(absolute))) return undefined;
  const paths = await Promise.all(files.map(async ({ absolute }) => realpath(absolute)));
  if (!paths.every((path) => isInside(path, gitTop))) return undefined;
  const names = paths.map((path) => Buffer.from(relative(gitTop, path)).toString('latin1'));
  const known = areCommitted(gitTop, names, git.env);
  return (known ?? (await areCommittedByGit(git, gitTop, paths, signal)))
    ? readOrigin(git, gitTop, signal)
    : undefined;
}

async function areCommittedByGit(
  git: Git,
  top: string,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const dirs = [...new Set(paths.map((path) => dirname(path)))];
  const repository = await readRepository(git, top, dirs, signal).catch((error: unknown) => {
    // For example, a file is in a submodule, or marked assume-unchanged.
    if (error instanceof LktError && ['GIT_FAILED', 'UNSUPPORTED'].includes(error.code))
      return undefined;
    throw error;
  });
  if (repository === undefined) return false;
  return paths.every((path) => {
    const name = repository.pathOf(path);
    // Git does not track a file that it ignores, or that is in a submodule.
    const file = repository.files(name).find((one) => one.path === name);
    return file?.mode !== undefined && !repository.isChanged(name);
  });
}
