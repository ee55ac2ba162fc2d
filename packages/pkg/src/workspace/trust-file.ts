import { lstatSync, realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno, LktError, undefinedIf } from '@lkt/core';
import type { Workspace } from './workspace.ts';

/** The file name of a trust policy. It applies to everything below its directory. */
const TRUST_FILE = 'trust.yml';
/** Names that would be ignored, although the user surely meant a policy. */
const MISSPELLED: readonly string[] = [
  'trust.yaml',
  '.trust.yml',
  '.trust.yaml',
  'Trust.yml',
  'Trust.yaml',
  'TRUST.yml',
  'TRUST.yaml',
  'TRUST.YML',
];

/**
 * Returns the trust policies that apply to files in some directories: each `trust.yml` in them and
 * in the directories above them, the nearest first. Git has no say: neither a nested repository nor
 * a missing one hides a policy. Does not read the files.
 * @param dirs absolute paths; of a symlink, the directories above its target count too
 * @throws CONFIG_INVALID for a policy under a wrong name, and for one that is not a regular file
 * @throws IO_FAILED
 */
export async function findTrustFiles(dirs: Iterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for (const dir of withAncestors(dirs)) {
    const path = await trustFileIn(dir);
    if (path !== undefined) found.push(path);
  }
  return found;
}

/**
 * Returns the path of the trust policy in a directory; undefined without one.
 * @throws CONFIG_INVALID, IO_FAILED as `findTrustFiles`
 */
export async function trustFileIn(dir: string): Promise<string | undefined> {
  const path = join(dir, TRUST_FILE);
  const own = inodeOf(path);
  if (own !== undefined) await requireRegularFile(path);
  for (const name of MISSPELLED) {
    const other = inodeOf(join(dir, name));
    // Where names are case-insensitive, Trust.yml is the same file.
    if (other === undefined || other === own) continue;
    throw new LktError('CONFIG_INVALID', `a trust policy must not be named ${name}`, {
      fix: `rename ${join(dir, name)} to ${TRUST_FILE}`,
    });
  }
  return own === undefined ? undefined : path;
}

/**
 * Returns every path that `findTrustFiles` looks at.
 * @param roots directories whose parents do not count
 */
export function trustFilePaths(
  dirs: Iterable<string>,
  roots: Iterable<string> = [],
): readonly string[] {
  return [...withAncestors(dirs), ...roots].flatMap((dir) =>
    [TRUST_FILE, ...MISSPELLED].map((name) => join(dir, name)),
  );
}

/**
 * Returns the directories whose policies apply to the packages of a workspace: the one that it was
 * opened from, and those that contain its own packages. A file in a package's own directory is a
 * source.
 */
export function policyDirs({ start, ownPackageDirs }: Workspace): readonly string[] {
  return [...new Set([start, ...ownPackageDirs.map((dir) => dirname(dir))])];
}

function withAncestors(dirs: Iterable<string>): readonly string[] {
  const found = new Set<string>();
  for (const given of dirs) {
    for (let dir of [given, realpathSync(given)]) {
      for (; !found.has(dir); dir = dirname(dir)) found.add(dir);
    }
  }
  return [...found];
}

/** Synchronous, because the thread pool takes ten times as long, for each of a hundred paths. */
function inodeOf(path: string): string | undefined {
  try {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return found && `${found.dev} ${found.ino}`;
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('IO_FAILED', `cannot access ${path}`, { cause });
  }
}

/** @throws CONFIG_INVALID for a directory, a pipe, a device or a dangling symlink */
async function requireRegularFile(path: string): Promise<void> {
  const found = await stat(path).catch(undefinedIf('ENOENT', 'ENOTDIR', 'ELOOP'));
  if (found?.isFile() === true) return;
  throw new LktError('CONFIG_INVALID', `the trust policy ${path} is not a regular file`, {
    fix: 'replace it by a file, or remove it',
  });
}
