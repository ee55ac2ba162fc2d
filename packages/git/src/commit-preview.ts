import { copyFile, mkdir, mkdtempDisposable, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { LktError, undefinedIf } from '@lkt/core';
import type { Git } from './command.ts';
import type { GitFile } from './tree-id.ts';
import { splitRecords } from './repository.ts';

/**
 * Returns the files of `dirs` as a commit would contain them now: tracked and untracked, not
 * ignored, through the filters that .gitattributes names. Does not change the user's index, objects
 * and work tree: git works on a copy of the index, and writes objects to a temporary directory.
 * @throws TOOL_MISSING, GIT_FAILED
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
    throw new LktError('GIT_FAILED', 'git rev-parse printed no path of the index');
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
  const settings = [
    'core.splitIndex=false',
    'core.safecrlf=false',
    'add.ignoreErrors=false',
    // The objects are thrown away, and git would compress 200 MB for 5 s, with all of it in memory.
    'core.looseCompression=0',
    'pack.compression=0',
    'core.bigFileThreshold=4m',
  ];
  await git.run(root, ['add', '--all', '--', ...specs], { env, settings, signal });
  const { stdout } = await git.run(root, ['ls-files', '-z', '-s', '--', ...specs], { env, signal });
  return splitRecords(stdout).flatMap((record) => {
    const [, mode, id, path] = /^(\d{6}) ([0-9a-f]+) \d\t(.+)$/s.exec(record) ?? [];
    return mode === undefined || id === undefined || path === undefined ? [] : [{ mode, id, path }];
  });
}

/**
 * Copies the index with its modification time, rounded down. Git re-reads a file that changed
 * within the second of the last index write; a copy with a later time would prevent that.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  const stats = await stat(from).catch(undefinedIf('ENOENT'));
  // There is no index before the first `git add`.
  if (stats === undefined) return;
  await copyFile(from, to);
  const seconds = Math.floor(stats.mtimeMs / 1000);
  await utimes(to, seconds, seconds);
}

/** Quotes a path as a C string if the colon-separated list of alternates requires it. */
function quoteAlternate(path: string): string {
  return /^"|[:\\]/.test(path) ? `"${path.replaceAll(/["\\]/g, '\\$&')}"` : path;
}
