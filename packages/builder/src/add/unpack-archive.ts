import { lchownSync, linkSync, lutimesSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
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
import { setMetadata, writeContent } from '../layers/extract.ts';
import { withOwner } from '../system/host-error.ts';
import type { Owner } from '../copy/owners.ts';
import { joinRaw, pathAt, statAt } from '../system/raw-fs.ts';
import { makeDirectories, resolveIn } from '../system/rooted.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO } from '../system/special-files.ts';

/**
 * Unpacks an archive into a directory that may have files, as ADD does. Symbolic links in the
 * directory part of an entry resolve within the directory. An entry replaces an existing one, but a
 * directory stays if both are directories. Modes, owners and times are those of the archive;
 * implied parent directories belong to root and have mode 755.
 *
 * @param directory in a mounted file system; no part of its path is a link
 * @param options.owner replaces the owners of the archive
 * @param options.canMakeDevices false in a user namespace: device nodes are skipped
 * @throws LktError ARCHIVE_INVALID for an entry that cannot be created; HOST_UNSUPPORTED
 */
export async function unpackArchive(
  entries: AsyncIterable<EntryWithContent>,
  directory: string,
  options: {
    readonly owner: Owner | undefined;
    readonly canMakeDevices: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const times: { readonly path: RawPath; readonly time: number }[] = [];
  for await (const entry of entries) {
    options.signal?.throwIfAborted();
    // The entry of the root itself does not apply to the directory.
    if (entry.path === '') continue;
    const path = makeRoom(directory, entry);
    if (!(await create(directory, path, entry, options.canMakeDevices))) continue;
    const isLink = statAt(directory, path)?.isSymbolicLink() === true;
    setMetadata(directory, {
      ...entry,
      ...options.owner,
      path,
      type: isLink ? 'symlink' : entry.type,
      mtime: Math.min(Math.max(entry.mtime, 0), SOURCE_DATE_EPOCH),
    });
    if (entry.type === 'directory') times.push({ path, time: entry.mtime });
  }
  // Creating an entry changes the time of its directory.
  for (const { path, time } of times)
    if (statAt(directory, path)?.isDirectory() === true) setTime(directory, path, time);
}

function setTime(directory: string, path: RawPath, time: number): void {
  const bounded = Math.min(Math.max(time, 0), SOURCE_DATE_EPOCH);
  lutimesSync(pathAt(directory, path), bounded, bounded);
}

/** Returns the real path of an entry, and removes what is in its way. */
function makeRoom(directory: string, entry: Entry): RawPath {
  const name = baseName(entry.path);
  if (name.startsWith('.wh.'))
    throw invalid(entry.path, 'has a name that means a deleted file in a layer');
  const parent = resolveIn(directory, parentPath(entry.path));
  if (parent === undefined) throw invalid(entry.path, 'has a parent that is not a directory');
  makeDirectories(directory, parent, (made) =>
    withOwner(
      () => `/${fromRaw(made)}`,
      0,
      () => lchownSync(pathAt(directory, made), 0, 0),
    ),
  );
  if (parent !== '' && statAt(directory, parent)?.isDirectory() !== true)
    throw invalid(entry.path, 'has a parent that is not a directory');
  const path = joinRaw(parent, name);
  const stats = statAt(directory, path);
  if (stats !== undefined && !(stats.isDirectory() && entry.type === 'directory'))
    rmSync(pathAt(directory, path), { recursive: true });
  return path;
}

/** Reports whether the entry was created. */
async function create(
  directory: string,
  path: RawPath,
  entry: EntryWithContent,
  canMakeDevices: boolean,
): Promise<boolean> {
  const file = pathAt(directory, path);
  switch (entry.type) {
    case 'directory':
      if (statAt(directory, path) === undefined) mkdirSync(file);
      return true;
    case 'file':
      await writeContent(file, entry.content ?? []);
      return true;
    case 'symlink':
      symlinkSync(Buffer.from(entry.link ?? '', 'latin1'), file);
      return true;
    case 'hardlink': {
      const target = resolveIn(directory, entry.link ?? '', false);
      const stats = target === undefined ? undefined : statAt(directory, target);
      if (target === undefined || stats === undefined || stats.isDirectory())
        throw invalid(
          entry.path,
          `is a hard link to ${JSON.stringify(fromRaw(entry.link ?? ''))}, which does not exist`,
        );
      linkSync(pathAt(directory, target), file);
      return true;
    }
    case 'fifo':
      makeNode(file, S_IFIFO | 0o600);
      return true;
    case 'char':
    case 'block': {
      const { devMajor = 0, devMinor = 0, type } = entry;
      if (type === 'char' && devMajor === 0 && devMinor === 0)
        throw invalid(entry.path, 'is a device that means a deleted file in a layer');
      if (!canMakeDevices) return false;
      makeNode(file, (type === 'char' ? S_IFCHR : S_IFBLK) | 0o600, devMajor, devMinor);
      return true;
    }
    default:
      return entry.type satisfies never;
  }
}

function invalid(path: RawPath, what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `${JSON.stringify(fromRaw(path))} in the archive ${what}`);
}
