import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { relative } from 'node:path';
import { type Git, isInside, type Origin, readOrigin } from '@lkt/git';
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
  const status = ['status', '--porcelain', '--untracked-files=all', '--ignored', '-z', '--'];
  // 128: a file is in a submodule.
  const { stdout, exit } = await git.run(top, [...status, ...paths], { exits: [128], signal });
  return exit === 0 && stdout === '';
}
