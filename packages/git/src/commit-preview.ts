import { copyFile, mkdir, mkdtempDisposable, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { Git } from './command.ts';
import type { GitFile } from './tree-id.ts';
import { records } from './repository.ts';

/**
 * The files of `dirs` as they would be committed now: tracked and untracked, not ignored, through the filters that
 * .gitattributes names. The user's index, objects and work tree are left alone: git works on a copy of the index and
 * writes its objects to a directory that is then removed.
 */
export async function filesAsCommitted(
  git: Git,
  root: string,
  dirs: readonly string[],
  signal?: AbortSignal,
): Promise<readonly GitFile[]> {
  const { stdout: where } = await git.run(
    root,
    ['rev-parse', '--git-path', 'index', '--git-path', 'objects'],
    { signal },
  );
  const [index, objects] = where
    .split('\n')
    .map((line) => resolve(root, Buffer.from(line, 'latin1').toString()));
  if (index === undefined || objects === undefined)
    throw new LktError('GIT_FAILED', 'git does not name its index');
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'lkt-index-'));
  const copy = join(temporary.path, 'index');
  await copyIndex(index, copy);
  await mkdir(join(temporary.path, 'objects'));
  const env = {
    GIT_INDEX_FILE: copy,
    GIT_OBJECT_DIRECTORY: join(temporary.path, 'objects'),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: quoteAlternate(objects),
  };
  const specs = dirs.map((dir) => relative(root, dir) || '.');
  const settings = ['core.splitIndex=false', 'core.safecrlf=false', 'add.ignoreErrors=false'];
  await git.run(root, ['add', '--all', '--', ...specs], { env, settings, signal });
  const { stdout } = await git.run(root, ['ls-files', '-z', '-s', '--', ...specs], { env, signal });
  return records(stdout).flatMap((record) => {
    const match = /^(\d{6}) ([0-9a-f]+) \d\t(.+)$/s.exec(record);
    return match?.[1] === undefined || match[2] === undefined || match[3] === undefined
      ? []
      : [{ mode: match[1], id: match[2], path: match[3] }];
  });
}

/**
 * Git takes a file that changed within the second of the last index write for suspect and reads it again. A copy with a
 * later time would end that suspicion, so it gets the time of the original, rounded down.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(from);
    await copyFile(from, to);
    const seconds = Math.floor(mtimeMs / 1000);
    await utimes(to, seconds, seconds);
  } catch (error) {
    // No index before the first `git add`.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** The list is separated by colons; a path with one, or that starts with a quote, is written as a C string. */
function quoteAlternate(path: string): string {
  return /^"|[:\\]/.test(path) ? `"${path.replaceAll(/["\\]/g, '\\$&')}"` : path;
}
