import { join } from 'node:path';
import type { Environment, Git } from './command.ts';
import { findGitDirectory } from './directory.ts';
import { IgnoreRules } from './ignore-rules.ts';
import { readIndex } from './index-file.ts';
import { splitRecords } from './repository.ts';
import { readSettings } from './settings.ts';
import { directoriesOf } from './tracked-directories.ts';
import { asTree } from './tree-id.ts';
import { untrackedFiles } from './untracked-files.ts';

/**
 * Returns the directories of all files that git tracks or would track, as absolute paths.
 * @param top of the work tree; without symlinks
 * @throws GIT_FAILED
 * @example
 * ```ts
 * for (const dir of await findSourceDirectories(git, top)) watch(dir, rebuild);
 * ```
 */
export async function findSourceDirectories(git: Git, top: string): Promise<readonly string[]> {
  const known = sourceDirectories(top, git.env);
  if (known !== undefined) return known;
  const words = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const paths = splitRecords((await git.run(top, words)).stdout);
  return directoriesOf(paths).map((path) => join(top, path));
}

/** As `findSourceDirectories`, in no particular order; undefined if only git can tell. */
export function sourceDirectories(top: string, env: Environment): readonly string[] | undefined {
  try {
    const found = findGitDirectory(top, env);
    const index = found && readIndex(join(found.gitDir, 'index'), () => true);
    if (found?.top !== top || index === undefined) return undefined;
    const rules = new IgnoreRules(found, readSettings(found, env));
    const untracked = untrackedFiles(top, '', asTree(index.entries), rules);
    const paths = [...index.entries.map(({ path }) => path), ...untracked];
    return directoriesOf(paths).map((path) => join(top, path));
  } catch {
    // The caller then asks git, which reports errors better.
    return undefined;
  }
}
