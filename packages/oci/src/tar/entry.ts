import { SOURCE_DATE_EPOCH } from '../image/epoch.ts';
import { singleChunk } from '../io/chunks.ts';

/**
 * A path inside an image, byte for byte: one char per byte (latin1), no leading or trailing slash,
 * no part that is empty, `.` or `..`. The root is `''`. Names in archives need not be UTF-8, so
 * they are not text.
 */
export type RawPath = string;

/** Encodes text as the bytes of a path. */
export function toRaw(utf8: string): RawPath {
  return Buffer.from(utf8, 'utf8').toString('latin1');
}

/** Decodes a path as UTF-8 for display; invalid bytes become U+FFFD. */
export function fromRaw(path: RawPath): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}

/** The file types of tar and POSIX file systems, without sockets. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** The metadata of a file in an archive or tree. Owners are numeric only. */
export interface Entry {
  readonly path: RawPath;
  readonly type: EntryType;
  /** Permission, setuid, setgid and sticky bits: 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Content length of a file in bytes; 0 for other types. */
  readonly size: number;
  /** The unmodified target of a symlink, or the path of the file that a hard link shares. */
  readonly link?: RawPath;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** Extended attributes by full name, such as `security.capability`; latin1. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** PAX records of other vendors, such as `LINUXKIT.source`; latin1. */
  readonly pax?: ReadonlyMap<string, string>;
}

/** An entry with its content: present for files with a size above 0, readable once. */
export interface EntryWithContent extends Entry {
  readonly content?: AsyncIterable<Uint8Array>;
}

/** An entry for an archive; content in memory takes fewer turns of the event loop. */
export interface EntryToWrite extends Entry {
  readonly content?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Returns the entry of a file of root with mode 0644, SOURCE_DATE_EPOCH as mtime, this content. */
export function plainFile(path: RawPath, data: Uint8Array | string = ''): EntryWithContent {
  const bytes = Buffer.from(data);
  const size = bytes.length;
  const content = size === 0 ? undefined : singleChunk(bytes);
  const [uid, gid, mtime] = [0, 0, SOURCE_DATE_EPOCH];
  return { path, type: 'file', mode: 0o644, uid, gid, mtime, size, content };
}

/** Returns the metadata of an entry without its content or other properties of the object. */
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
    link,
    devMajor,
    devMinor,
    xattrs,
    pax,
  };
}

/** Returns the parent directory; `''` for names in the root. */
export function parentPath(path: RawPath): RawPath {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

/** Joins two paths, either of which may be `''`. */
export function joinPath(directory: RawPath, path: RawPath): RawPath {
  return directory === '' || path === '' ? directory + path : `${directory}/${path}`;
}

/** Returns the last part of a path. */
export function baseName(path: RawPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
