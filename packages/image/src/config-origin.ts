import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { isInside, type Origin, readOrigin } from '@lkt/git';
import type { Workspace } from '@lkt/pkg';
import type { LoadedConfig } from './config/load-config.ts';

/**
 * Returns the repository and commit with the configs of an image; undefined if the commit lacks
 * one of them, or has another version of it.
 * @throws GIT_FAILED, TOOL_MISSING
 */
export async function configOrigin(
  { git, gitTop }: Workspace,
  { files }: LoadedConfig,
  signal: AbortSignal | undefined,
): Promise<Origin | undefined> {
  if (gitTop === undefined || files.some(({ isRemote }) => isRemote === true)) return undefined;
  // One from standard input is not a file.
  if (!files.every(({ absolute }) => existsSync(absolute))) return undefined;
  const paths = await Promise.all(files.map(async ({ absolute }) => realpath(absolute)));
  if (!paths.every((path) => isInside(path, gitTop))) return undefined;
  const status = ['status', '--porcelain', '--untracked-files=all', '--ignored', '-z', '--'];
  // 128: a file is in a submodule.
  const { stdout, exit } = await git.run(gitTop, [...status, ...paths], { exits: [128], signal });
  return exit === 0 && stdout === '' ? readOrigin(git, gitTop, signal) : undefined;
}
