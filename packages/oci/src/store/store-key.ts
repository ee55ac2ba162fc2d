import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/** The environment that says where the secret is. */
export interface KeyEnvironment {
  readonly home: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

const KEY = /^[0-9a-f]{64}$/;
const VARIABLE = 'LKT_STORE_KEY';

/**
 * Returns the key for the sealed files of the user's stores: `LKT_STORE_KEY`, else the secret
 * `lkt/store-secret` in `XDG_STATE_HOME` or `~/.local/state`. Creates the secret if it is missing;
 * concurrent processes get the same. Only the user can read it.
 * @throws CONFIG_INVALID for a variable that is not a key; IO_FAILED if there can be no secret, or
 * others may read or replace it
 */
export function loadStoreKey({ home, variables }: KeyEnvironment): string {
  const given = variables[VARIABLE] ?? '';
  if (given !== '') {
    if (KEY.test(given)) return given;
    throw new LktError('CONFIG_INVALID', `${VARIABLE} is not 64 lower-case hex digits`, {
      fix: 'make a key with: openssl rand -hex 32',
    });
  }
  const xdg = variables['XDG_STATE_HOME'] ?? '';
  // A relative path must be ignored (XDG Base Directory Specification, "Basics").
  const isXdg = xdg.startsWith('/');
  const path = join(isXdg ? xdg : join(home, '.local/state'), 'lkt/store-secret');
  try {
    // A home that does not exist is the placeholder of a user without one.
    if (!isXdg) lstatSync(home);
    return readSecret(path) ?? createSecret(path);
  } catch (cause) {
    if (cause instanceof LktError) throw cause;
    throw new LktError('IO_FAILED', `cannot keep a secret in ${path}`, { cause, fix: OTHER_PLACE });
  }
}

const OTHER_PLACE = `set XDG_STATE_HOME to a directory of your own, or ${VARIABLE}`;

/** Returns the secret, or undefined if the file does not exist. */
function readSecret(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const stats = fstatSync(file);
    requireOwn(path, stats, 0o077, 'chmod 600');
    requireOwn(dirname(path), lstatSync(dirname(path)), 0o022, 'chmod 700');
    const text = stats.isFile() && stats.size < 100 ? readFileSync(file, 'latin1').trim() : '';
    if (KEY.test(text)) return text;
  } finally {
    closeSync(file);
  }
  throw new LktError('IO_FAILED', `${path} is not a store secret of lkt`, {
    fix: 'delete it; lkt then creates another one, and rebuilds cached results',
  });
}

/** @param others permission bits that must be off */
function requireOwn(path: string, { uid, mode }: Stats, others: number, fix: string): void {
  if (uid !== process.geteuid?.())
    throw new LktError('IO_FAILED', `${path} belongs to another user`, {
      fix: OTHER_PLACE,
    });
  if ((mode & others) !== 0)
    throw new LktError('IO_FAILED', `other users have access to ${path}`, {
      fix: `run ${fix} ${path}, or delete it if they may have read it`,
    });
}

/** Creates the secret, or returns the one that another process has created meanwhile. */
function createSecret(path: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      // A umask could take away what the owner needs.
      fchmodSync(file, 0o600);
      writeFileSync(file, `${randomBytes(32).toString('hex')}\n`);
    } finally {
      closeSync(file);
    }
    placeFirst(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  const secret = readSecret(path);
  if (secret === undefined) throw new Error(`${path} was removed`);
  return secret;
}

/** Renames a file unless the target exists. */
function placeFirst(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    // A file system without hard links. The last process wins; what others sealed is made again.
    if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
    renameSync(temporary, path);
  }
}
