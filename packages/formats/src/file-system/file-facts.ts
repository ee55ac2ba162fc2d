import { createHash } from 'node:crypto';
import { LktError } from '@lkt/core';
import { type EntryType, type EntryWithContent, fromRaw, type RawPath } from '@lkt/oci';

/** What is known of a path of an image. */
export interface FileFacts {
  readonly type: Exclude<EntryType, 'hardlink'>;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size: number;
  /** Of a file that is not empty: 64 hex digits of sha256. */
  readonly hash?: string;
  /** Of a symbolic link. */
  readonly link?: RawPath;
  /** Of a device, `major:minor`. */
  readonly device?: string;
  /** Names and values of extended attributes, as one sum. */
  readonly xattrs?: string;
  /** The image that it is from, or a section of the config; where the archive says so. */
  readonly source?: string;
  /** `services[2]` */
  readonly location?: string;
}

export type Files = ReadonlyMap<RawPath, FileFacts>;

export interface FileLimits {
  /** Default 1,000,000. */
  readonly maxEntries?: number;
  /** Bytes of paths and targets; default 256 MiB. */
  readonly maxNames?: number;
}

/**
 * Reads entries to their end: every path, with the sum of its content. What comes later is over what came before. Memory
 * holds names and sums, of as many entries as the limits say.
 * @throws LktError ARCHIVE_INVALID for a passed limit, and what reading throws
 */
export async function fileFacts(
  entries: AsyncIterable<EntryWithContent>,
  { maxEntries = 1_000_000, maxNames = 256 * 2 ** 20 }: FileLimits = {},
  signal?: AbortSignal,
): Promise<Files> {
  const files = new Map<RawPath, FileFacts>();
  const words = new Map<string, string>();
  const interned = (word: string | undefined): string | undefined => {
    if (word === undefined || word === '') return undefined;
    const known = words.get(word);
    if (known === undefined) words.set(word, word);
    return known ?? word;
  };
  let count = 0;
  let names = 0;
  for await (const entry of entries) {
    signal?.throwIfAborted();
    count += 1;
    names += entry.path.length + (entry.link?.length ?? 0);
    if (count > maxEntries)
      throw new LktError('ARCHIVE_INVALID', `there are more than ${maxEntries} entries in it`);
    if (names > maxNames)
      throw new LktError('ARCHIVE_INVALID', `its names have more than ${maxNames} bytes`);
    const source = interned(entry.pax?.get('LINUXKIT.source'));
    const location = interned(entry.pax?.get('LINUXKIT.location'));
    const from = {
      source,
      location,
    };
    if (entry.type === 'hardlink') {
      const target = files.get(entry.link ?? '');
      if (target === undefined)
        throw new LktError(
          'ARCHIVE_INVALID',
          `${fromRaw(entry.path)} is another name of ${fromRaw(entry.link ?? '')}, which is not there`,
        );
      files.set(entry.path, { ...target, ...from });
      continue;
    }
    files.set(entry.path, { ...(await factsOf(entry, entry.type)), ...from });
  }
  return files;
}

async function factsOf(entry: EntryWithContent, type: FileFacts['type']): Promise<FileFacts> {
  const { mode, uid, gid, mtime, size, link, devMajor = 0, devMinor = 0, xattrs } = entry;
  const hash = entry.content === undefined ? undefined : await hashOf(entry.content);
  return {
    type,
    mode,
    uid,
    gid,
    mtime,
    size,
    hash,
    link: type === 'symlink' ? (link ?? '') : undefined,
    device: type === 'char' || type === 'block' ? `${devMajor}:${devMinor}` : undefined,
    xattrs: xattrs === undefined || xattrs.size === 0 ? undefined : sumOf(xattrs),
  };
}

async function hashOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of content) hash.update(piece);
  return hash.digest('hex');
}

function sumOf(xattrs: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash('sha256');
  for (const [name, value] of [...xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${name}\0${value.length}\0`, 'latin1').update(value);
  return hash.digest('hex');
}
