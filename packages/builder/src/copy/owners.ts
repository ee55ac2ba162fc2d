import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isErrno } from '@lkt/core/errors';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface User extends Owner {
  /**
   * Supplementary groups with the primary one, so that a program that leaves its primary group does
   * not gain what a file denies to that group.
   */
  readonly groups: readonly number[];
}

/** The text of an image's /etc/passwd and /etc/group. */
export interface Accounts {
  readonly passwd: string;
  readonly group: string;
}

/** The rest of a longer file is ignored. */
const MAX_LENGTH = 1 << 20;

/** @param read returns a file of the image, '' if it does not exist */
export function readAccounts(read: (path: 'etc/passwd' | 'etc/group') => string): Accounts {
  return { passwd: read('etc/passwd'), group: read('etc/group') };
}

/** Returns the content of a regular file; '' for anything else. */
export function readShort(path: string | Buffer): string {
  let file: number;
  try {
    // Do not block on the writer of a fifo.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENXIO')) return '';
    throw error;
  }
  try {
    if (!fstatSync(file).isFile()) return '';
    const buffer = Buffer.alloc(MAX_LENGTH);
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, MAX_LENGTH, 0));
  } finally {
    closeSync(file);
  }
}

/**
 * Parses `user[:group]` of --chown, names or numbers. Without a group, a name takes the group of
 * its passwd entry, and a number the group of the same number, as in BuildKit. Returns undefined if
 * the name does not exist.
 */
export function findOwner(text: string, accounts: Accounts): Owner | undefined {
  const [user = '', group = ''] = text.split(':');
  const uid = user === '' ? 0 : idOf(user, accounts.passwd);
  const own = group === '' ? primaryGroup(user, accounts.passwd) : undefined;
  const gid = group === '' ? (own ?? uid) : idOf(group, accounts.group);
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** Returns the part of `user[:group]` that belongs in a cache key, beside the account files. */
export function ownerKey(text: string): string {
  return /^[^:]*[^:\d][^:]*:?$/.test(text) ? `${text} with its group` : text;
}

function primaryGroup(name: string, passwd: string): number | undefined {
  if (isNumber(name)) return undefined;
  return numberOf(name, passwd, 3);
}

/** Parses `user[:group]` of USER as runc does. Returns undefined if the name does not exist. */
export function findUser(text: string, accounts: Accounts): User | undefined {
  const [user = '', group = ''] = text.split(':');
  const uid = user === '' ? 0 : idOf(user, accounts.passwd);
  if (uid === undefined) return undefined;
  const entry = lines(accounts.passwd).find(([name, , number]) =>
    isNumber(user) || user === '' ? isId(number, uid) : name === user,
  );
  if (group !== '') {
    const gid = idOf(group, accounts.group);
    return gid === undefined ? undefined : { uid, gid, groups: [gid] };
  }
  const name = entry?.[0];
  const groups = lines(accounts.group)
    .filter(([, , , members = '']) => name !== undefined && members.split(',').includes(name))
    .map(([, , number]) => Number(number))
    .filter((number) => Number.isInteger(number));
  const gid = Number(entry?.[3] ?? 0);
  return { uid, gid, groups: [...new Set([gid, ...groups])] };
}

/** Returns the home of the first entry with a uid, as runc does. */
export function homeOf({ uid }: User, passwd: string): string {
  const home = lines(passwd).find(([, , number]) => isId(number, uid))?.[5] ?? '';
  return home === '' ? '/' : home;
}

/** In passwd(5) and group(5), the name is the first field and the id the third. */
function idOf(text: string, file: string): number | undefined {
  if (isNumber(text)) return Number(text);
  return numberOf(text, file, 2);
}

function numberOf(name: string, file: string, field: number): number | undefined {
  const text = lines(file).find(([first]) => first === name)?.[field];
  return text !== undefined && isNumber(text) ? Number(text) : undefined;
}

function lines(file: string): string[][] {
  return file.split('\n').map((line) => line.split(':'));
}

/** Reports whether a field has an id, perhaps with leading zeros. */
function isId(text: string | undefined, id: number): boolean {
  return text !== undefined && isNumber(text) && Number(text) === id;
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) < 0xffff_ffff;
}
