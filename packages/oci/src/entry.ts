import { SOURCE_DATE_EPOCH } from './epoch.ts';

/**
 * A path inside an image, byte for byte: one char per byte (latin1), no leading or trailing slash, no part that is
 * empty, `.` or `..`. The root is `''`. Names in archives need not be UTF-8, so they are not text.
 */
export type RawPath = string;

export function toRaw(utf8: string): RawPath {
  return Buffer.from(utf8, 'utf8').toString('latin1');
}

/** For display: bytes that are not UTF-8 become U+FFFD. */
export function fromRaw(path: RawPath): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** One thing in an archive or a tree, without its content. Owners are numbers only. */
export interface Entry {
  readonly path: RawPath;
  readonly type: EntryType;
  /** Permission, setuid, setgid and sticky bits: 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Length of the content of a file, else 0. */
  readonly size: number;
  /** Of a symlink: its target, bytes as they are. Of a hard link: the path of the other name. */
  readonly link?: RawPath;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** By full name, such as `security.capability`. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** PAX records of other vendors, such as `LINUXKIT.source`; latin1. */
  readonly pax?: ReadonlyMap<string, string>;
}

/** `content` is there for files with a size above 0, and may be read once. */
export interface EntryWithContent extends Entry {
  readonly content?: AsyncIterable<Uint8Array>;
}

/** What an entry says of a file, without its content or whatever else the object carries. */
export function entryMetadata(entry: Entry): Entry {
  const { path, type, mode, uid, gid, mtime, size, link, devMajor, devMinor, xattrs, pax } = entry;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime,
    size,
    ...(link === undefined ? {} : { link }),
    ...(devMajor === undefined ? {} : { devMajor }),
    ...(devMinor === undefined ? {} : { devMinor }),
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(pax === undefined ? {} : { pax }),
  };
}

/** The entry with the time every layer of lkt has: whole seconds, not after SOURCE_DATE_EPOCH. */
export function clampEntry<E extends Entry>(entry: E, epoch: number = SOURCE_DATE_EPOCH): E {
  return { ...entry, mtime: Math.min(Math.floor(entry.mtime), epoch) };
}

/** The directory part; `''` for names in the root. */
export function parentPath(path: RawPath): RawPath {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

export function baseName(path: RawPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
