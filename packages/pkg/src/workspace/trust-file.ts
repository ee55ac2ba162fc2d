import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { isErrno, LktError, undefinedIf } from '@lkt/core';
import { policyNamesIn, TRUST_FILE } from './policy-names.ts';
import type { Workspace } from './workspace.ts';

/**
 * Returns the trust policies that apply to files in some directories: each `trust.yml` in them and
 * in the directories above them, the nearest first. Git does not matter: neither a nested
 * repository nor a missing one hides a policy. Does not read the files.
 * @param dirs absolute paths; of a symlink, the directories above all that it leads to count too
 * @throws CONFIG_INVALID for a policy under a wrong name, and for one that is not a regular file
 * @throws IO_FAILED
 */
export async function findTrustFiles(dirs: Iterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for (const dir of withAncestors(dirs).dirs) {
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
  for (const name of policyNamesIn(dir)) {
    // Where names are case-insensitive, Trust.yml is the same file.
    if (name === TRUST_FILE || inodeOf(join(dir, name)) === own) continue;
    throw new LktError('CONFIG_INVALID', `a trust policy must not be named ${name}`, {
      fix: `rename ${join(dir, name)} to ${TRUST_FILE}`,
    });
  }
  return own === undefined ? undefined : path;
}

/**
 * Returns every directory in which `findTrustFiles` looks, and the symlinks among them: with
 * another target, other policies are above it.
 */
export function trustFileDirs(dirs: Iterable<string>): {
  readonly dirs: readonly string[];
  readonly links: readonly string[];
} {
  return withAncestors(dirs);
}

/**
 * Returns the directories whose policies apply to the packages of a workspace: the one that it was
 * opened from, and those that contain its own packages. A file in a package's own directory is a
 * source.
 */
export function policyDirs({ start, catalog }: Workspace): readonly string[] {
  return [...new Set([start, ...catalog.ownDirs.flatMap(containingDirs)])];
}

/**
 * Returns the directory of a path; of a symlink, also the directories of all that it leads to. The
 * path need not exist.
 * @param path absolute
 */
export function containingDirs(path: string): readonly string[] {
  return linkedPaths(path).map((each) => dirname(each));
}

/** Returns directories with all above them, and the symlinks among them. */
function withAncestors(given: Iterable<string>): {
  readonly dirs: readonly string[];
  readonly links: readonly string[];
} {
  const dirs = new Set<string>();
  const links: string[] = [];
  const open = [...given];
  // Grows while it is read.
  for (const start of open)
    for (let dir = start; !dirs.has(dir); dir = dirname(dir)) {
      dirs.add(dir);
      const targets = linkedPaths(dir).slice(1);
      if (targets.length > 0) links.push(dir);
      open.push(...targets);
    }
  return { dirs: [...dirs], links };
}

/** As Linux: more symlinks in one path are a loop. */
const MAX_LINKS = 40;

/** Returns a path and, if it is a symlink, every path that it leads to, one after another. */
function linkedPaths(path: string): readonly string[] {
  const found = [path];
  try {
    for (let at = path; found.length <= MAX_LINKS; found.push(at)) {
      if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true) break;
      const target = readlinkSync(at);
      const written = resolve(realpathSync.native(dirname(at)), target);
      if (target.includes('..')) found.push(written);
      at = target.includes('..') ? followed(at, target) : written;
    }
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'ELOOP'))
      throw new LktError('IO_FAILED', `cannot access ${path}`, { cause });
  }
  return found;
}

/**
 * Returns the path that a symlink leads to as the kernel does: `..` leaves the directory that the
 * name before it leads to.
 */
function followed(link: string, target: string): string {
  const whole = isAbsolute(target) ? target : `${dirname(link)}/${target}`;
  const name = basename(whole);
  if (name === '.' || name === '..') return realpathSync.native(whole);
  return join(realpathSync.native(dirname(whole)), name);
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
