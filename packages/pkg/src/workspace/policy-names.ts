import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { editDistance, isErrno, LktError } from '@lkt/core';

/** The file name of a trust policy. It applies to everything below its directory. */
export const TRUST_FILE = 'trust.yml';
/** Names that a user may mistake for that of a policy. */
const NEARBY: readonly string[] = [TRUST_FILE, 'trust.yaml', 'trust.json'];
/** Words of their own, one letter away. */
const OTHER_WORDS = /^\.?(?:rust|crust|thrust|truss|trusty)\./i;

/**
 * Returns the names in a directory that are a trust policy's, or so close to it that the user
 * surely meant one: in other case, with a leading dot, another suffix, or one wrong letter. In
 * byte order; empty without the directory.
 * @throws IO_FAILED
 */
export function policyNamesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter(isPolicyName).toSorted();
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return [];
    // Files in a directory that the user may search but not list are found by name.
    if (isErrno(cause, 'EACCES')) return exists(join(dir, TRUST_FILE)) ? [TRUST_FILE] : [];
    throw new LktError('IO_FAILED', `cannot access ${dir}`, { cause });
  }
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    throw new LktError('IO_FAILED', `cannot access ${path}`, { cause });
  }
}

function isPolicyName(name: string): boolean {
  // Backups of editors have other characters.
  if (!/^\.?[a-z.]{8,11}$/i.test(name) || OTHER_WORDS.test(name)) return false;
  const plain = name.toLowerCase().replace(/^\./, '');
  return NEARBY.some((other) => editDistance(plain, other) <= 1);
}
