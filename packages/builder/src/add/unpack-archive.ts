import { rmSync } from 'node:fs';
import {
  baseName,
  type EntryWithContent,
  parentPath,
  type RawPath,
  SOURCE_DATE_EPOCH,
} from '@lkt/oci';
import { createEntry, invalidEntry, isWhiteoutDevice } from '../layers/create-entry.ts';
import { setMetadata } from '../layers/extract.ts';
import type { Owner } from '../copy/owners.ts';
import { joinRaw, pathAt, statAt } from '../system/raw-fs.ts';
import { makeDirectories, resolveIn } from '../system/rooted.ts';
import { setTime } from '../system/set-time.ts';

/** The archive in errors. */
const ARCHIVE = 'the archive';

/**
 * Unpacks an archive into a directory that may have files, as ADD does. Symbolic links in the
 * directory part of an entry resolve within the directory. An entry replaces an existing one, but a
 * directory stays if both are directories. Modes, owners and times are those of the archive;
 * implied parent directories belong to root and have mode 755.
 *
 * @param directory in a mounted file system; no part of its path is a link
 * @param options `owner` replaces the owners of the archive; `canMakeDevices` is as in
 *   `CreateOptions`
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
  const { owner, canMakeDevices, signal } = options;
  const resolve = (link: RawPath): RawPath | undefined => resolveIn(directory, link, false);
  const creating = { archive: ARCHIVE, canMakeDevices, resolve } as const;
  const times: { readonly path: RawPath; readonly time: number }[] = [];
  for await (const entry of entries) {
    signal?.throwIfAborted();
    // The entry of the root itself does not apply to the directory.
    if (entry.path === '') continue;
    const path = makeRoom(directory, entry);
    if (!(await createEntry(directory, path, entry, creating))) continue;
    const isLink = statAt(directory, path)?.isSymbolicLink() === true;
    const type = isLink ? 'symlink' : entry.type;
    const mtime = Math.min(Math.max(entry.mtime, 0), SOURCE_DATE_EPOCH);
    setMetadata(directory, { ...entry, ...owner, path, type, mtime });
    if (entry.type === 'directory') times.push({ path, time: mtime });
  }
  // Creating an entry changes the time of its directory.
  for (const { path, time } of times)
    if (statAt(directory, path)?.isDirectory() === true) setTime(pathAt(directory, path), time);
}

/** Returns the real path of an entry, and removes what is in its way. */
function makeRoom(directory: string, entry: EntryWithContent): RawPath {
  const name = baseName(entry.path);
  if (name.startsWith('.wh.'))
    throw invalidEntry(entry.path, ARCHIVE, 'has a name that means a deleted file in a layer');
  if (isWhiteoutDevice(entry))
    throw invalidEntry(entry.path, ARCHIVE, 'is a device that means a deleted file in a layer');
  const parent = resolveIn(directory, parentPath(entry.path));
  if (parent !== undefined) makeDirectories(directory, parent, { uid: 0, gid: 0 });
  if (parent === undefined || statAt(directory, parent)?.isDirectory() !== true)
    throw invalidEntry(entry.path, ARCHIVE, 'has a parent that is not a directory');
  const path = joinRaw(parent, name);
  const stats = statAt(directory, path);
  if (stats !== undefined && !(stats.isDirectory() && entry.type === 'directory'))
    rmSync(pathAt(directory, path), { recursive: true });
  return path;
}
