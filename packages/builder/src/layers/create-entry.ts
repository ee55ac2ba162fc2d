import { closeSync, linkSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { type Digester, LktError } from '@lkt/core';
import { type EntryWithContent, fromRaw, type RawPath } from '@lkt/oci';
import { pathAt, statAt } from '../system/raw-fs.ts';
import { makeNode } from '../system/special-files.ts';

/** The kind of archive whose entries are created. */
export interface CreateOptions {
  /** The archive in errors. */
  readonly archive: 'a layer' | 'the archive';
  /** False in a user namespace: device nodes are skipped. */
  readonly canMakeDevices: boolean;
  /** Returns the real path of the target of a hard link; undefined for a path out of the tree. */
  readonly resolve: (link: RawPath) => RawPath | undefined;
}

/**
 * Creates an entry of an archive at an unused path, without its metadata. Returns false for a
 * skipped device.
 * @throws LktError ARCHIVE_INVALID for a hard link to anything but an existing file
 */
export async function createEntry(
  directory: string,
  path: RawPath,
  entry: EntryWithContent,
  { archive, canMakeDevices, resolve }: CreateOptions,
): Promise<boolean> {
  const file = pathAt(directory, path);
  const { type, link = '' } = entry;
  switch (type) {
    case 'directory':
      if (statAt(directory, path) === undefined) mkdirSync(file);
      return true;
    case 'file':
      await writeContent(file, entry.content ?? []);
      return true;
    case 'symlink':
      symlinkSync(Buffer.from(link, 'latin1'), file);
      return true;
    case 'hardlink': {
      const target = resolve(link);
      if (target === undefined || statAt(directory, target)?.isDirectory() !== false) {
        const shown = JSON.stringify(fromRaw(link));
        throw invalidEntry(entry.path, archive, `is a hard link to ${shown}, which does not exist`);
      }
      linkSync(pathAt(directory, target), file);
      return true;
    }
    case 'fifo':
      makeNode(file, 'fifo', 0o600);
      return true;
    case 'char':
    case 'block':
      if (canMakeDevices) makeNode(file, type, 0o600, entry.devMajor, entry.devMinor);
      return canMakeDevices;
    default:
      return type satisfies never;
  }
}

/** Reports whether an entry is a device that overlayfs treats as a deleted file. */
export function isWhiteoutDevice({ type, devMajor = 0, devMinor = 0 }: EntryWithContent): boolean {
  return type === 'char' && devMajor === 0 && devMinor === 0;
}

/** Writes a new file. */
async function writeContent(
  file: Buffer,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    await writeChunks(descriptor, content);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Writes chunks to an open file, and hashes them; those in memory in one turn of the event loop.
 */
export async function writeChunks(
  descriptor: number,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  digester?: Digester,
): Promise<void> {
  const write = (chunk: Uint8Array): void => {
    digester?.update(chunk);
    for (let done = 0; done < chunk.length;) done += writeSync(descriptor, chunk, done);
  };
  if (Symbol.iterator in content) for (const chunk of content) write(chunk);
  else for await (const chunk of content) write(chunk);
}

/** Returns the error for an entry that cannot be created. */
export function invalidEntry(
  path: RawPath,
  archive: CreateOptions['archive'],
  what: string,
): LktError {
  return new LktError('ARCHIVE_INVALID', `${JSON.stringify(fromRaw(path))} in ${archive} ${what}`);
}
