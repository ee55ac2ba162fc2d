/** The parts of ADD that COPY does not have: unpacking archives, and adding downloaded files. */
import { LktError } from '@lkt/core';
import { fromRaw, readTar, type Store } from '@lkt/oci';
import { Context } from '../context/context.ts';
import { type ArchiveEntry, parentsOf, type RemoteEntry } from '@lkt/dockerfile';
import { isArchive, readArchive } from './archive.ts';
import { changedWhileCopied } from '../copy/copy-files.ts';
import type { CopyTarget } from '../copy/copy-target.ts';
import { textPathAt } from '../system/raw-fs.ts';
import { resolveIn } from '../system/rooted.ts';
import { unpackArchive } from './unpack-archive.ts';

/** Unpacks an archive of the context. Owners are those of the archive unless --chown is given. */
export async function unpackContext(
  to: CopyTarget,
  context: Context,
  archive: ArchiveEntry,
  canMakeDevices: boolean,
): Promise<void> {
  const { source, target, directories } = archive;
  const node = context.node(source);
  if (node === undefined) throw new Error(`${source} left the context`);
  const signal = to.signal;
  const expected = await context.contentDigest(source, signal);
  await unpackFile(to, node.source, fromRaw(source), { target, directories }, canMakeDevices);
  const after = new Context([{ path: source, source: node.source }]);
  if ((await after.contentDigest(source, signal)) !== expected) throw changedWhileCopied(source);
}

/** Adds a downloaded blob of the store, with mode 600, owner root and time SOURCE_DATE_EPOCH. */
export async function addRemote(
  to: CopyTarget,
  store: Store,
  remote: RemoteEntry,
  canMakeDevices: boolean,
): Promise<void> {
  const { digest, target, unpacked } = remote;
  const blob = store.blobPath(digest);
  if (unpacked !== undefined && (await isArchive(blob, { signal: to.signal }))) {
    const directories = unpacked === '' ? [] : [...parentsOf(unpacked), unpacked];
    await unpackFile(to, blob, digest, { target: unpacked, directories }, canMakeDevices);
    return;
  }
  to.makeDirectories({ directories: parentsOf(target) });
  await to.writeFile(target, { content: store.read({ digest }), mode: 0o600 });
}

async function unpackFile(
  to: CopyTarget,
  path: string,
  shown: string,
  { target, directories }: Pick<ArchiveEntry, 'target' | 'directories'>,
  canMakeDevices: boolean,
): Promise<void> {
  to.makeDirectories({ directories });
  const real = resolveIn(to.root, target);
  const directory = real === undefined ? undefined : textPathAt(to.root, real);
  if (directory === undefined)
    throw to.error(`/${fromRaw(target)} leads to a name that is not UTF-8`);
  const signal = to.signal;
  try {
    await unpackArchive(readTar(readArchive(path, { signal }), { allowUnnamed: true }), directory, {
      owner: to.owner,
      canMakeDevices,
      signal,
    });
  } catch (error) {
    if (!(error instanceof LktError) || !['ARCHIVE_INVALID', 'UNSUPPORTED'].includes(error.code))
      throw error;
    const message = `${shown} cannot be unpacked: ${error.message}`;
    const fix = 'use COPY, or ADD --unpack=false, to copy the archive itself';
    throw to.error(message, { cause: error, fix }, error.code);
  }
}
