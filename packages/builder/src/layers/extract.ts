import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { LktError } from '@lkt/core';
import {
  baseName,
  type Entry,
  type EntryWithContent,
  fromRaw,
  parentPath,
  type RawPath,
  SOURCE_DATE_EPOCH,
} from '@lkt/oci';
import { withOwner } from '../system/host-error.ts';
import {
  isImageAttribute,
  isWhiteout,
  joinRaw,
  OVERLAY_PREFIX,
  pathAt,
  statAt,
} from '../system/raw-fs.ts';
import { SystemCallError } from '../system/c-library.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO, setAttribute } from '../system/special-files.ts';

/**
 * Unpacks a layer into an empty directory in overlayfs form. No entry escapes the directory or
 * passes through a symbolic link. Implied parent directories belong to root and have mode 755.
 *
 * @param canMakeDevices false in a user namespace: device nodes are skipped
 * @throws LktError ARCHIVE_INVALID, HOST_UNSUPPORTED for an owner that is not mapped
 */
export async function extractLayer(
  entries: AsyncIterable<EntryWithContent>,
  directory: string,
  options: { readonly canMakeDevices: boolean; readonly signal?: AbortSignal },
): Promise<void> {
  const times = new Map<RawPath, number>([['', SOURCE_DATE_EPOCH]]);
  for await (const entry of entries) {
    options.signal?.throwIfAborted();
    const name = baseName(entry.path);
    makeParents(directory, entry.path, times);
    if (name.startsWith('.wh.')) {
      whiteout(directory, entry.path, name);
      continue;
    }
    if (entry.path !== '' && !makeRoom(directory, entry, times)) continue;
    if (!(await create(directory, entry, options.canMakeDevices))) continue;
    if (entry.type === 'hardlink') continue;
    setMetadata(directory, entry);
    if (entry.type === 'directory') times.set(entry.path, entry.mtime);
  }
  // Creating an entry changes the time of its directory.
  for (const [path, time] of [...times].toReversed())
    if (statAt(directory, path)?.isDirectory() === true)
      lutimesSync(pathAt(directory, path), time, time);
}

function makeParents(directory: string, path: RawPath, times: Map<RawPath, number>): void {
  const parent = parentPath(path);
  if (parent === '') return;
  // Only directories made here or by an entry are known not to be behind a link.
  if (times.has(parent)) return;
  makeParents(directory, parent, times);
  const stats = statAt(directory, parent);
  if (stats === undefined) {
    mkdirSync(pathAt(directory, parent), { mode: 0o755 });
    times.set(parent, SOURCE_DATE_EPOCH);
  } else if (!stats.isDirectory()) {
    throw invalid(path, `is below ${JSON.stringify(fromRaw(parent))}, which is not a directory`);
  }
}

/** image-spec, layer.md, "Whiteouts" */
function whiteout(directory: string, path: RawPath, name: string): void {
  if (name === '.wh..wh..opq') {
    setOpaque(directory, parentPath(path));
    return;
  }
  // Metadata of aufs, which old images still contain.
  if (name.startsWith('.wh..wh.')) return;
  const hidden = name.slice('.wh.'.length);
  if (hidden === '' || hidden === '.' || hidden === '..') throw invalid(path, 'is a bad whiteout');
  const target = joinRaw(parentPath(path), hidden);
  const stats = statAt(directory, target);
  // The layer's own entry of this name replaces the lower one; a directory must not merge with it.
  if (stats === undefined) makeNode(pathAt(directory, target), S_IFCHR);
  else if (stats.isDirectory()) setOpaque(directory, target);
}

function setOpaque(directory: string, path: RawPath): void {
  setAttribute(pathAt(directory, path), `${OVERLAY_PREFIX}opaque`, Buffer.from('y'));
}

/** Removes what is in the way of an entry. Returns false if the entry exists already. */
function makeRoom(directory: string, entry: Entry, times: Map<RawPath, number>): boolean {
  const stats = statAt(directory, entry.path);
  if (stats === undefined) return true;
  if (entry.type === 'hardlink' && entry.link === entry.path) return false;
  if (stats.isDirectory() && entry.type === 'directory') return true;
  if (stats.isDirectory()) {
    for (const path of times.keys())
      if (path === entry.path || path.startsWith(`${entry.path}/`)) times.delete(path);
  }
  rmSync(pathAt(directory, entry.path), { recursive: true });
  if (isWhiteout(stats) && entry.type === 'directory') {
    mkdirSync(pathAt(directory, entry.path));
    setOpaque(directory, entry.path);
  }
  return true;
}

/** Reports whether the entry was created. */
async function create(
  directory: string,
  entry: EntryWithContent,
  canMakeDevices: boolean,
): Promise<boolean> {
  const file = pathAt(directory, entry.path);
  switch (entry.type) {
    case 'directory':
      if (statAt(directory, entry.path) === undefined) mkdirSync(file);
      return true;
    case 'file':
      await writeContent(file, entry.content ?? []);
      return true;
    case 'symlink':
      symlinkSync(Buffer.from(entry.link ?? '', 'latin1'), file);
      return true;
    case 'hardlink': {
      const target = entry.link ?? '';
      const stats = plainStat(directory, target);
      if (stats === undefined || stats.isDirectory())
        throw invalid(
          entry.path,
          `is a hard link to ${JSON.stringify(fromRaw(target))}, which is not in the layer`,
        );
      linkSync(pathAt(directory, target), file);
      return true;
    }
    case 'fifo':
      makeNode(file, S_IFIFO | 0o600);
      return true;
    case 'char':
    case 'block':
      if (!canMakeDevices) return false;
      if (entry.type === 'char' && entry.devMajor === 0 && entry.devMinor === 0)
        throw invalid(entry.path, 'is a device that means a deleted file');
      makeNode(
        file,
        (entry.type === 'char' ? S_IFCHR : S_IFBLK) | 0o600,
        entry.devMajor,
        entry.devMinor,
      );
      return true;
    default:
      return entry.type satisfies never;
  }
}

/** As lstat(2), but does not follow a symbolic link in a directory. */
function plainStat(directory: string, path: RawPath): ReturnType<typeof statAt> {
  for (let parent = parentPath(path); parent !== ''; parent = parentPath(parent))
    if (statAt(directory, parent)?.isDirectory() !== true) return undefined;
  return statAt(directory, path);
}

export async function writeContent(
  file: Buffer,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    for await (const chunk of content)
      for (let done = 0; done < chunk.length;) done += writeSync(descriptor, chunk, done);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Sets the owner, then the mode (a change of owner clears setuid), then extended attributes, then
 * the time.
 */
export function setMetadata(
  directory: string,
  entry: Pick<Entry, 'path' | 'type' | 'uid' | 'gid' | 'mode' | 'mtime' | 'xattrs'>,
): void {
  const file = pathAt(directory, entry.path);
  const what = (): string => `/${fromRaw(entry.path)}`;
  withOwner(what, entry.uid === 0 ? entry.gid : entry.uid, () =>
    lchownSync(file, entry.uid, entry.gid),
  );
  if (entry.type !== 'symlink') chmodSync(file, entry.mode);
  for (const [name, value] of entry.xattrs ?? []) {
    if (!isImageAttribute(name)) continue;
    try {
      setAttribute(file, name, value);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      throw new LktError(
        'HOST_UNSUPPORTED',
        `the file system of the store cannot hold the attribute ${name} of ${what()}`,
        { cause: error, fix: 'put the store on ext4, xfs or btrfs with LKT_CACHE' },
      );
    }
  }
  lutimesSync(file, entry.mtime, entry.mtime);
}

function invalid(path: RawPath, what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `${JSON.stringify(fromRaw(path))} in a layer ${what}`);
}
