import { LktError } from '@lkt/core';
import {
  baseName,
  compareBytes,
  fromRaw,
  parentPath,
  type RawPath,
  SOURCE_DATE_EPOCH,
} from '@lkt/oci';
import { FILE_TYPE, type InodeEntry } from './inode-entry.ts';

/** A path of a file system to write. Entries with the same `file` are hard links to each other. */
export interface FsEntry extends InodeEntry {
  readonly file?: string;
  /** FileMap with the same value have the same content. Default: `file`. */
  readonly content?: string;
  /** The origin of the entry, for error messages. */
  readonly label?: string;
}

/** One file, directory, symlink or device; hard links share an inode. */
export interface Inode extends Omit<FsEntry, 'file' | 'content'> {
  /** From 1, the root, in the order of the paths. */
  readonly number: number;
  /** Number of names; of a directory, including `.` and `..` entries. */
  readonly links: number;
  /** The children of a directory, sorted by the bytes of their names. */
  readonly children: readonly Child[];
  /** The parent of a directory; the root is its own parent. */
  readonly parent: Inode;
}

/** A name in a directory. */
export interface Child {
  readonly name: RawPath;
  readonly inode: Inode;
}

/** The content of some files. Read it before requesting the next. */
export interface FileContent {
  readonly files: FileGroup;
  readonly data: AsyncIterable<Uint8Array>;
}

/** FileMap with the same content. */
export type FileGroup = readonly [Inode, ...Inode[]];

/**
 * A tree of files for a file system writer: its inodes, and its contents in the order of their
 * source.
 */
export interface FileSystem {
  readonly root: Inode;
  /** Sorted by number. */
  readonly inodes: readonly Inode[];
  /** The non-empty files. */
  readonly files: readonly FileGroup[];
  /** Streams the content of each of `files` once. */
  contents(): AsyncIterable<FileContent>;
}

type Writable = { -readonly [Key in keyof Inode]: Inode[Key] } & { children: Child[] };

/**
 * Builds the tree of some entries, in any order. Missing parent directories get mode 755 and owner
 * root.
 * @param contents streams the contents by their `content` in any order; unknown ones are skipped
 * @example
 * ```ts
 * const files = fileSystemOf(entries, contents);
 * const iso = planIso(files, { volumeId: 'LKT' });
 * ```
 */
export function fileSystemOf(
  entries: Iterable<FsEntry>,
  contents: () => AsyncIterable<{
    readonly content: string;
    readonly data: AsyncIterable<Uint8Array>;
  }>,
): FileSystem {
  const inodes: Writable[] = [];
  const byPath = new Map<RawPath, Writable>();
  const byFile = new Map<string, Writable>();
  const groups = new Map<string, [Inode, ...Inode[]]>();
  const add = (entry: FsEntry, parent?: Writable): Writable => {
    const { file: _, content: __, ...rest } = entry;
    const fields = { ...rest, number: inodes.length + 1, children: [] };
    const isDirectory = entry.type === 'directory';
    const inode = { ...fields, links: isDirectory ? 2 : 1 } as Omit<Writable, 'parent'> as Writable;
    inode.parent = parent ?? inode;
    inodes.push(inode);
    byPath.set(entry.path, inode);
    return inode;
  };
  const root = add(directory(''));
  const placeIn = (path: RawPath): Writable => {
    const known = byPath.get(path);
    if (known !== undefined) return known;
    return put(directory(path));
  };
  const addFile = ({ file = '', content = file, size }: FsEntry, inode: Inode): void => {
    byFile.set(file, inode as Writable);
    const others = groups.get(content);
    if (others !== undefined) others.push(inode);
    else if (size > 0) groups.set(content, [inode]);
  };
  const put = (entry: FsEntry): Writable => {
    const parent = placeIn(parentPath(entry.path));
    const shared = entry.file === undefined ? undefined : byFile.get(entry.file);
    const inode = shared ?? add(entry, parent);
    if (shared !== undefined) shared.links += 1;
    else if (entry.file !== undefined) addFile(entry, inode);
    if (entry.type === 'directory') parent.links += 1;
    parent.children.push({ name: baseName(entry.path), inode });
    return inode;
  };
  const sorted = [...entries].toSorted((a, b) => compareBytes(a.path, b.path));
  for (const entry of sorted) {
    if (entry.path === '') Object.assign(root, { ...entry, type: 'directory' });
    else put(entry);
  }
  for (const { children } of inodes) children.sort((a, b) => compareBytes(a.name, b.name));
  const files = [...groups.values()];
  return { root, inodes, files, contents: () => checked(groups, contents()) };
}

async function* checked(
  groups: ReadonlyMap<string, FileGroup>,
  contents: AsyncIterable<{ readonly content: string; readonly data: AsyncIterable<Uint8Array> }>,
): AsyncGenerator<FileContent> {
  const missing = new Map(groups);
  for await (const { content, data } of contents) {
    const files = missing.get(content);
    if (files === undefined) continue;
    missing.delete(content);
    yield { files, data: exactly(files[0], data) };
  }
  for (const [inode] of missing.values())
    throw new LktError('IMAGE_INVALID', `${nameOf(inode)} has no content`);
}

/** @throws IMAGE_INVALID unless the data has the announced size */
async function* exactly(inode: Inode, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of data) {
    size += chunk.length;
    if (size > inode.size) break;
    yield chunk;
  }
  if (size === inode.size) return;
  const what =
    size > inode.size ? 'more bytes of content than' : `${size} bytes of content instead of`;
  throw new LktError('IMAGE_INVALID', `${nameOf(inode)} has ${what} ${inode.size}`);
}

/** Formats an inode for an error message. */
export function nameOf({ path, label }: Pick<FsEntry, 'path' | 'label'>): string {
  return label === undefined ? `/${fromRaw(path)}` : `/${fromRaw(path)} of ${label}`;
}

/** Returns `st_mode` of stat(2): permissions and type. */
export function statMode({ type, mode }: Pick<Inode, 'type' | 'mode'>): number {
  return FILE_TYPE[type] | (mode & 0o7777);
}

/** Returns a device number as `new_encode_dev` in Linux encodes it; 0 for other inodes. */
export function deviceNumber({ type, devMajor = 0, devMinor = 0 }: Inode): number {
  if (type !== 'char' && type !== 'block') return 0;
  return ((devMinor & 0xff) | (devMajor << 8) | ((devMinor & ~0xff) << 12)) >>> 0;
}

/**
 * Checks that all names and symlink targets fit into a file system.
 * @throws UNSUPPORTED at the first that does not
 */
export function requireNames({ inodes }: FileSystem, format: string, longest: number): void {
  for (const { path, children } of inodes) {
    for (const { name, inode } of children) {
      if (name.length <= longest) continue;
      const long = { ...inode, path: path === '' ? name : `${path}/${name}` };
      throw new LktError(
        'UNSUPPORTED',
        `${nameOf(long)} has a name of ${name.length} bytes; ${format} allows at most ${longest}`,
      );
    }
  }
  for (const inode of inodes) {
    const { length } = inode.link ?? '';
    if (length > MAX_TARGET)
      throw new LktError(
        'UNSUPPORTED',
        `${nameOf(inode)} has a target of ${length} bytes; Linux allows at most ${MAX_TARGET}`,
      );
  }
}

/** PATH_MAX without its NUL. */
const MAX_TARGET = 4095;

function directory(path: RawPath): FsEntry {
  return {
    path,
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: SOURCE_DATE_EPOCH,
    size: 0,
  };
}
