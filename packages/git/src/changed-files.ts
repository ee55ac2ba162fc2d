import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { isInside, splitRecords } from './repository.ts';
import type { Git } from './command.ts';

/** The differences between a commit and the work tree. */
export interface Changes {
  /** The commit of the comparison; undefined if everything counts as new. */
  readonly commit: string | undefined;
  /**
   * Reports whether a file, or something in a directory, differs. The path is absolute, without
   * symlinks.
   */
  readonly has: (path: string) => boolean;
}

/** The null object id, which forges send for the push of a new branch. */
const NULL_ID = /^0{40,64}$/;

/**
 * Compares the work tree with the merge base of HEAD and another commit, so that later commits on
 * the other branch do not count. Ignored files do not count either.
 * @param workTree `gitTop` is the top of the work tree; undefined if `root` is not in one
 * @param base a revision, as git takes it; without one, or for a null id, everything counts as new
 * @throws GIT_FAILED if `base` is not a commit of this repository
 * @example
 * ```ts
 * const changes = await changesSince({ git, root, gitTop }, 'origin/main');
 * changes.has(join(root, 'pkg/sshd'));
 * ```
 */
export async function changesSince(
  {
    git,
    root,
    gitTop,
  }: { readonly git: Git; readonly root: string; readonly gitTop: string | undefined },
  base: string | undefined,
  signal?: AbortSignal,
): Promise<Changes> {
  if (base === undefined || NULL_ID.test(base)) return { commit: undefined, has: () => true };
  if (gitTop === undefined) throw new LktError('GIT_FAILED', `${root} is not in a git work tree`);
  const name = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${base}^{commit}`];
  const given = await git.run(root, name, { exits: [1, 128], signal });
  if (given.exit !== 0)
    throw new LktError('GIT_FAILED', `git has no commit "${base}"`, {
      fix: 'fetch it; in CI, clone the whole history (fetch-depth: 0, GIT_DEPTH: 0)',
    });
  const id = given.stdout.trim();
  const mergeBase = await git.run(root, ['merge-base', id, 'HEAD'], { exits: [1, 128], signal });
  const commit = mergeBase.exit === 0 ? mergeBase.stdout.trim() : id;
  const diff = ['diff', '--name-only', '-z', '--no-renames', '--no-ext-diff', '--no-textconv'];
  const [differing, untracked] = await Promise.all([
    git.run(gitTop, [...diff, '--ignore-submodules=dirty', commit, '--'], { signal }),
    git.run(gitTop, ['ls-files', '-z', '--others', '--exclude-standard'], { signal }),
  ]);
  const files = [...splitRecords(differing.stdout), ...splitRecords(untracked.stdout)].map((path) =>
    join(gitTop, Buffer.from(path, 'latin1').toString()),
  );
  return { commit, has: (path) => files.some((file) => isInside(file, path)) };
}
