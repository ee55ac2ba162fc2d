import { chmodSync, fstatSync, mkdirSync, rmSync } from 'node:fs';
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
import {
  isImageAttribute,
  isWhiteout,
  joinRaw,
  OVERLAY_PREFIX,
  pathAt,
  statAt,
} from '../system/raw-fs.ts';
import { SystemCallError } from '../system/c-library.ts';
import { setOwner } from '../system/set-owner.ts';
import { makeNode, setAttribute } from '../system/special-files.ts';
import { setTime } from '../system/set-time.ts';
import { createEntry, invalidEntry, isWhiteoutDevice } from './create-entry.ts';

/** The archive in errors. */
const ARCHIVE = 'a layer';

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
  { canMakeDevices, signal }: { readonly canMakeDevices: boolean; readonly signal?: AbortSignal },
): Promise<void> {
  const resolve = (link: RawPath): RawPath | undefined => withoutLinks(directory, link);
  const creating = { archive: ARCHIVE, canMakeDevices, resolve } as const;
  const times = new Map<RawPath, number>([['', SOURCE_DATE_EPOCH]]);
  for await (const entry of entries) {
    signal?.throwIfAborted();
    const name = baseName(entry.path);
    makeParents(directory, entry.path, times);
    if (name.startsWith('.wh.')) {
      whiteout(directory, entry.path, name);
      continue;
    }
    if (entry.path !== '' && !makeRoom(directory, entry, times)) continue;
    if (canMakeDevices && isWhiteoutDevice(entry))
      throw invalidEntry(entry.path, ARCHIVE, 'is a device that means a deleted file');
    if (!(await createEntry(directory, entry.path, entry, creating))) continue;
    if (entry.type === 'hardlink') continue;
    setMetadata(directory, entry);
    if (entry.type === 'directory') times.set(entry.path, entry.mtime);
  }
  // Creating an entry changes the time of its directory.
  for (const [path, time] of [...times].toReversed())
    if (statAt(directory, path)?.isDirectory() === true) setTime(pathAt(directory, path), time);
}

function makeParents(directory: string, path: RawPath, times: Map<RawPath, number>): void {
  const parent = parentPath(path);
  if (parent === '') return;
  // A directory made here or by an entry is not behind a link; others are checked.
  if (times.has(parent)) return;
  makeParents(directory, parent, times);
  const stats = statAt(directory, parent);
  if (stats === undefined) {
    mkdirSync(pathAt(directory, parent), { mode: 0o755 });
    times.set(parent, SOURCE_DATE_EPOCH);
  } else if (!stats.isDirectory()) {
    throw invalidEntry(
      path,
      ARCHIVE,
      `is below ${JSON.stringify(fromRaw(parent))}, which is not a directory`,
    );
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
  if (hidden === '' || hidden === '.' || hidden === '..')
    throw invalidEntry(path, ARCHIVE, 'is a bad whiteout');
  const target = joinRaw(parentPath(path), hidden);
  const stats = statAt(directory, target);
  // The layer's own entry of this name replaces the lower one; a directory must not merge with it.
  if (stats === undefined) makeNode(pathAt(directory, target), 'char', 0);
  else if (stats.isDirectory()) setOpaque(directory, target);
}

function setOpaque(directory: string, path: RawPath): void {
  setAttribute(pathAt(directory, path), `${OVERLAY_PREFIX}opaque`, Buffer.from('y'));
}

/** Removes what exists at the path of an entry. Returns false if the entry exists already. */
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

/** Returns a path of the layer, unless a directory part of it is a symbolic link or missing. */
function withoutLinks(directory: string, path: RawPath): RawPath | undefined {
  for (let parent = parentPath(path); parent !== ''; parent = parentPath(parent))
    if (statAt(directory, parent)?.isDirectory() !== true) return undefined;
  return path;
}

/**
 * Sets the metadata of an open file that was just made with its mode. Most need only the time.
 */
export function setNewMetadata(
  descriptor: number,
  directory: string,
  entry: Parameters<typeof setMetadata>[1],
): void {
  const { uid, gid, mode } = fstatSync(descriptor);
  const isRight = uid === entry.uid && gid === entry.gid && (mode & 0o7777) === entry.mode;
  if (isRight && entry.xattrs === undefined) setTime(descriptor, entry.mtime);
  else setMetadata(directory, entry);
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
  setOwner(directory, entry.path, entry);
  if (entry.type !== 'symlink') chmodSync(file, entry.mode);
  for (const [name, value] of entry.xattrs ?? []) {
    if (!isImageAttribute(name)) continue;
    try {
      setAttribute(file, name, value);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      throw new LktError(
        'HOST_UNSUPPORTED',
        `the file system of the store cannot hold the attribute ${name} of /${fromRaw(entry.path)}`,
        { cause: error, fix: 'put the store on ext4, xfs or btrfs with LKT_CACHE' },
      );
    }
  }
  setTime(file, entry.mtime);
}
