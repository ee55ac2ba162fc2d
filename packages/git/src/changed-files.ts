import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { isInside, records } from './repository.ts';
import type { Git } from './command.ts';

/** What differs between a commit and the work tree. */
export interface Changes {
  /** The commit that was compared with; undefined if everything counts as new. */
  readonly commit: string | undefined;
  /** Whether a file or something in a directory differs; the path is absolute, without symlinks. */
  readonly has: (path: string) => boolean;
}

/** A directory, and the git work tree that it is in. */
interface WorkTree {
  readonly git: Git;
  readonly root: string;
  /** Top of the work tree; undefined if `root` is in none. */
  readonly gitTop: string | undefined;
}

/** What a forge says where there was nothing before: the push of a new branch. */
const NOTHING = /^0{40,64}$/;

/**
 * Compares the work tree with where its commit and another one parted, so that what others have done since then on a
 * branch does not count. Files that git ignores do not count either.
 * @param base a commit, as git takes it; without one, or one of zeros, everything counts as new
 * @throws LktError GIT_FAILED for what is no commit here
 */
export async function changesSince(
  { git, root, gitTop }: WorkTree,
  base: string | undefined,
  signal?: AbortSignal,
): Promise<Changes> {
  if (base === undefined || NOTHING.test(base)) return { commit: undefined, has: () => true };
  if (gitTop === undefined) throw new LktError('GIT_FAILED', `${root} is not in git`);
  const name = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${base}^{commit}`];
  const given = await git.run(root, name, { exits: [1, 128], signal });
  if (given.exit !== 0)
    throw new LktError('GIT_FAILED', `git knows no commit "${base}"`, {
      fix: 'fetch it; a CI may have cloned the last commit alone (fetch-depth: 0, GIT_DEPTH: 0)',
    });
  const id = given.stdout.trim();
  const parted = await git.run(root, ['merge-base', id, 'HEAD'], { exits: [1, 128], signal });
  const commit = parted.exit === 0 ? parted.stdout.trim() : id;
  const diff = ['diff', '--name-only', '-z', '--no-renames', '--no-ext-diff', '--no-textconv'];
  const [differing, untracked] = await Promise.all([
    git.run(gitTop, [...diff, '--ignore-submodules=dirty', commit, '--'], { signal }),
    git.run(gitTop, ['ls-files', '-z', '--others', '--exclude-standard'], { signal }),
  ]);
  const files = [...records(differing.stdout), ...records(untracked.stdout)].map((path) =>
    join(gitTop, Buffer.from(path, 'latin1').toString()),
  );
  return { commit, has: (path) => files.some((file) => isInside(file, path)) };
}
