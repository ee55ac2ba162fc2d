import { createHash } from 'node:crypto';
import { LktError } from '@lkt/core';
import { type EntryWithContent, fromRaw, type RawPath } from '@lkt/oci';
import type { InodeEntry } from './inode-entry.ts';

/** The metadata of a path in an image. */
export interface FileFacts extends Pick<
  InodeEntry,
  'type' | 'mode' | 'uid' | 'gid' | 'mtime' | 'size' | 'link'
> {
  /** SHA-256 of a non-empty file, 64 hex digits. */
  readonly hash?: string;
  /** Device number, `major:minor`. */
  readonly device?: string;
  /** Digest of the names and values of extended attributes. */
  readonly xattrs?: string;
  /** The image or config section that the file comes from, if the archive records it. */
  readonly source?: string;
  /** `services[2]` */
  readonly location?: string;
  /** The content of a file that {@link FileLimits.isKept} selects. */
  readonly content?: Uint8Array;
}

/** The files of an image by path. */
export type FileMap = ReadonlyMap<RawPath, FileFacts>;

/** Limits against hostile archives. */
export interface FileLimits {
  /** Default: 1,000,000. */
  readonly maxEntries?: number;
  /** Maximum bytes of all paths and targets. Default: 256 MiB. */
  readonly maxNames?: number;
  /** Selects files whose contents are returned: up to 1 MiB each, and 16 MiB in total. */
  readonly isKept?: (path: RawPath) => boolean;
}

const MAX_KEPT_FILE = 2 ** 20;
const MAX_KEPT = 16 * MAX_KEPT_FILE;

/**
 * Reads all entries and returns every path with its metadata and the digest of its content. Later
 * entries replace earlier ones. Keeps no contents in memory.
 * @throws ARCHIVE_INVALID if a limit is exceeded, or for a hard link without a target; errors of
 * `entries`
 * @example
 * ```ts
 * const files = await readFileFacts(readInitrd(fileChunks('initrd.img')));
 * files.get('etc/passwd')?.hash;
 * ```
 */
export async function readFileFacts(
  entries: AsyncIterable<EntryWithContent>,
  { maxEntries = 1_000_000, maxNames = 256 * 2 ** 20, isKept = () => false }: FileLimits = {},
  signal?: AbortSignal,
): Promise<FileMap> {
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
  let kept = 0;
  for await (const entry of entries) {
    signal?.throwIfAborted();
    count += 1;
    names += entry.path.length + (entry.link?.length ?? 0);
    if (count > maxEntries)
      throw new LktError('ARCHIVE_INVALID', `the archive has more than ${maxEntries} entries`);
    if (names > maxNames)
      throw new LktError(
        'ARCHIVE_INVALID',
        `the names in the archive have more than ${maxNames} bytes`,
      );
    const source = interned(entry.pax?.get('LINUXKIT.source'));
    const location = interned(entry.pax?.get('LINUXKIT.location'));
    const from = { source, location };
    if (entry.type === 'hardlink') {
      const target = files.get(entry.link ?? '');
      if (target === undefined)
        throw new LktError(
          'ARCHIVE_INVALID',
          `${fromRaw(entry.path)} is a hard link to ${fromRaw(entry.link ?? '')}, which does not exist`,
        );
      files.set(entry.path, { ...target, ...from });
      continue;
    }
    const isWanted =
      entry.type === 'file' &&
      isKept(entry.path) &&
      entry.size <= Math.min(MAX_KEPT_FILE, MAX_KEPT - kept);
    if (isWanted) kept += entry.size;
    files.set(entry.path, { ...(await factsOf(entry, entry.type, isWanted)), ...from });
  }
  return files;
}

async function factsOf(
  entry: EntryWithContent,
  type: FileFacts['type'],
  isKept: boolean,
): Promise<FileFacts> {
  const { mode, uid, gid, mtime, size, link, devMajor = 0, devMinor = 0, xattrs } = entry;
  const pieces: Uint8Array[] = [];
  const hash =
    entry.content === undefined
      ? undefined
      : await hashOf(entry.content, isKept ? pieces : undefined);
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
    content: isKept ? Buffer.concat(pieces) : undefined,
  };
}

async function hashOf(
  content: AsyncIterable<Uint8Array>,
  pieces: Uint8Array[] | undefined,
): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of content) {
    hash.update(piece);
    // The reader may reuse its buffer.
    pieces?.push(Uint8Array.from(piece));
  }
  return hash.digest('hex');
}

function sumOf(xattrs: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash('sha256');
  for (const [name, value] of [...xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${name}\0${value.length}\0`, 'latin1').update(value);
  return hash.digest('hex');
}
