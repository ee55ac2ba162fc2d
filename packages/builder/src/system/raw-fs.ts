import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { isErrno, LktError } from '@lkt/core';
import { compareBytes, type EntryType, fromRaw, type RawPath, toRaw } from '@lkt/oci';
import { getAttribute, listAttributes } from './special-files.ts';

/** Returns the path of a file below a directory of the host. */
export function pathAt(directory: string, path: RawPath): Buffer {
  // Most calls are for the files of one directory.
  if (directory !== last.directory) last = { directory, raw: toRaw(directory) };
  return Buffer.from(path === '' ? last.raw : `${last.raw}/${path}`, 'latin1');
}

let last: { readonly directory: string; readonly raw: RawPath } = { directory: '', raw: '' };

/**
 * Returns the same path as text; undefined for a name that is not UTF-8, which would become
 * another.
 */
export function textPathAt(directory: string, path: RawPath): string | undefined {
  const text = fromRaw(path);
  if (toRaw(text) !== path) return undefined;
  return path === '' ? directory : `${directory}/${text}`;
}

export function joinRaw(directory: RawPath, name: string): RawPath {
  return directory === '' ? name : `${directory}/${name}`;
}

/** Returns the attributes of a path, without following a link; undefined if it does not exist. */
export function statAt(directory: string, path: RawPath): Stats | undefined {
  try {
    // Most calls find nothing, and an exception takes five times as long.
    return lstatSync(pathAt(directory, path), { throwIfNoEntry: false });
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Returns the names in a directory, in byte order. */
export function namesAt(directory: string, path: RawPath): string[] {
  return readdirSync(pathAt(directory, path), { encoding: 'latin1' }).toSorted(compareBytes);
}

export function linkAt(directory: string, path: RawPath): RawPath {
  return readlinkSync(pathAt(directory, path), { encoding: 'latin1' });
}

/** Returns the type of an entry; undefined for a socket, which an archive cannot contain. */
export function typeOf(stats: Stats): EntryType | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isCharacterDevice()) return 'char';
  if (stats.isBlockDevice()) return 'block';
  return stats.isFIFO() ? 'fifo' : undefined;
}

/** Reports whether a file is a whiteout of overlayfs. */
export function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0;
}

/** gnu_dev_major(3), gnu_dev_minor(3) */
export function deviceNumbers(rdev: number): { devMajor: number; devMinor: number } {
  const number = BigInt(rdev);
  return {
    devMajor: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
    devMinor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  };
}

/** Returns the modification time in whole seconds. */
export function mtimeOf(stats: Stats): number {
  return Math.floor(stats.mtimeMs / 1000);
}

/** Prefix of overlayfs's own attributes with `userxattr`. */
export const OVERLAY_PREFIX = 'user.overlay.';

/**
 * Reports whether an extended attribute belongs in an image. Others are the host's (security
 * labels), overlayfs's, or invisible without privileges, so layers would depend on the user who
 * builds.
 */
export function isImageAttribute(name: string): boolean {
  return (
    (name.startsWith('user.') && !name.startsWith(OVERLAY_PREFIX)) ||
    name === 'security.capability' ||
    name === 'system.posix_acl_access' ||
    name === 'system.posix_acl_default'
  );
}

/** Returns the attributes that belong in an image, sorted; undefined for a file without any. */
export function attributesAt(
  directory: string,
  path: RawPath,
): ReadonlyMap<string, Uint8Array> | undefined {
  const file = pathAt(directory, path);
  const names = listAttributes(file).filter(isImageAttribute);
  if (names.length === 0) return undefined;
  // SCHILY.xattr.NAME=value of a PAX header; a name that is not UTF-8 has been replaced.
  const odd = names.find((name) => name.includes('=') || name.includes('\ufffd'));
  if (odd !== undefined) {
    throw new LktError(
      'BUILD_FAILED',
      `/${fromRaw(path)} has an extended attribute that no layer can hold: ${JSON.stringify(odd)}`,
      { fix: 'remove it in the step that sets it, for example with: setfattr -x' },
    );
  }
  return new Map(names.toSorted(compareBytes).map((name) => [name, getAttribute(file, name)]));
}
