// https://docs.kernel.org/driver-api/early-userspace/buffer-format.html (newc, crc)
import { LktError } from '@lkt/core';
import {
  type ByteReader,
  type EntryWithContent,
  normalizePath,
  type RawPath,
  UnexpectedEndError,
} from '@lkt/oci';
import { typeOf } from '../file-system/inode-entry.ts';
import { cpioPadding } from './cpio.ts';
import type { UnpackedPaths } from './unpacked-paths.ts';

/** The common first four bytes of all ASCII cpio formats. */
export const CPIO_MAGIC = '0707';
const HEADER_SIZE = 110;
const MAX_NAME = 4096;
const TRAILER = 'TRAILER!!!';

/** The fields of a header after its magic number, each of eight hexadecimal digits. */
const FIELDS = [
  'inode',
  'mode',
  'uid',
  'gid',
  'links',
  'mtime',
  'size',
  'ownMajor',
  'ownMinor',
  'devMajor',
  'devMinor',
  'nameSize',
] as const;

/** The kernel's limits: it would make another device of a larger number. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;

type Header = Readonly<Record<(typeof FIELDS)[number], number>>;

/**
 * Reads the entries of a cpio archive (newc, with or without checksums) up to its trailer. Its
 * first four bytes have been read. Read a content before requesting the next entry. Further names
 * of a file follow it as hard links. As in the kernel, a second content replaces that of all names.
 * @param paths of the archives before it in the initrd
 * @param limit maximum number of entries of files with several names
 * @throws ARCHIVE_INVALID for an invalid archive
 */
export async function* readCpio(
  reader: ByteReader,
  start: Buffer,
  paths: UnpackedPaths,
  limit = 1_000_000,
): AsyncGenerator<EntryWithContent> {
  /** Names of files by inode; with their content, once one had it. */
  const inodes = new Map<string, { hasContent: boolean; readonly names: EntryWithContent[] }>();
  let held = 0;
  try {
    for (let first = start; ; first = await exactly(reader, 4)) {
      const header = parseHeader(Buffer.concat([first, await exactly(reader, HEADER_SIZE - 4)]));
      const name = await nameOf(reader, header);
      if (name === TRAILER) break;
      const { entry: head, inode } = entryOf(header, name);
      if (head.type === 'symlink') {
        if (header.size > MAX_NAME)
          throw cpioError(`${quoted(name)} has a target that is too long`);
        const link = (await exactly(reader, header.size)).toString('latin1');
        await reader.skip(cpioPadding(header.size).length);
        yield paths.add({ ...head, size: 0, link });
        continue;
      }
      const entry = paths.add(head);
      if (entry.type !== 'file' || header.links < 2) {
        yield* withContent(reader, entry, header.size);
        continue;
      }
      held += 1;
      if (held > limit) throw cpioError(`more than ${limit} entries have several names`);
      const file = inodes.get(inode) ?? { hasContent: false, names: [] };
      inodes.set(inode, file);
      const [earlier = entry] = file.names;
      if (!isAlike(entry, earlier))
        throw cpioError(`${quoted(name)} is ${quoted(earlier.path)} with another mode or owner`);
      if (header.size > 0) {
        yield* withContent(reader, entry, header.size);
        file.hasContent = true;
        for (const other of file.names)
          if (other.path !== entry.path) yield { ...other, type: 'hardlink', link: entry.path };
      } else if (file.hasContent) {
        yield { ...entry, type: 'hardlink', link: earlier.path };
      }
      file.names.push(entry);
    }
  } catch (error) {
    throw error instanceof UnexpectedEndError ? cpioError('it is truncated') : error;
  }
  // Names of empty files.
  for (const { hasContent, names } of inodes.values()) {
    const [first, ...others] = names;
    if (hasContent || first === undefined) continue;
    yield first;
    for (const other of others) yield { ...other, type: 'hardlink', link: first.path };
  }
}

/** The kernel would give all names of a file the mode and the owner of the last. */
function isAlike(entry: EntryWithContent, earlier: EntryWithContent): boolean {
  return entry.mode === earlier.mode && entry.uid === earlier.uid && entry.gid === earlier.gid;
}

async function* withContent(
  reader: ByteReader,
  entry: EntryWithContent,
  size: number,
): AsyncGenerator<EntryWithContent> {
  let missing = size;
  if (entry.type !== 'file' || size === 0) {
    yield { ...entry, size: 0 };
  } else {
    const content = async function* (): AsyncGenerator<Uint8Array> {
      while (missing > 0) {
        const part = await reader.take(missing);
        if (part === undefined) throw cpioError('it is truncated');
        missing -= part.length;
        yield part;
      }
    };
    yield { ...entry, size, content: content() };
  }
  await reader.skip(missing + cpioPadding(size).length);
}

function parseHeader(bytes: Buffer): Header {
  const magic = bytes.toString('latin1', 0, 6);
  if (magic !== '070701' && magic !== '070702')
    throw cpioError('an entry has no newc magic number');
  const text = bytes.toString('latin1', 6);
  if (!/^[0-9A-Fa-f]+$/.test(text)) throw cpioError('a header field is not a number');
  const header: Partial<Record<keyof Header, number>> = {};
  FIELDS.forEach((name, index) => {
    header[name] = Number.parseInt(text.slice(8 * index, 8 * index + 8), 16);
  });
  return header as Header;
}

async function nameOf(reader: ByteReader, { nameSize }: Header): Promise<string> {
  if (nameSize === 0 || nameSize > MAX_NAME) throw cpioError(`a name has ${nameSize} bytes`);
  const bytes = await exactly(reader, nameSize);
  await reader.skip(cpioPadding(HEADER_SIZE + nameSize).length);
  return bytes.toString('latin1').replace(/\0[^]*$/, '');
}

function entryOf(header: Header, name: string): { entry: EntryWithContent; inode: string } {
  const { mode, mtime, devMajor, devMinor } = header;
  const [uid, gid] = [ownerOf(header.uid), ownerOf(header.gid)];
  const type = typeOf(mode);
  if (type === undefined) throw cpioError(`${quoted(name)} has an unknown type`);
  const path = normalizePath(name);
  if (path === undefined) throw cpioError(`${quoted(name)} leads out of the archive`);
  const isDevice = type === 'char' || type === 'block';
  if (isDevice && (devMajor > MAX_MAJOR || devMinor > MAX_MINOR))
    throw cpioError(`${quoted(name)} has an invalid device number`);
  const head = { path, type, mode: mode & 0o7777, uid, gid, mtime, size: 0 } as const;
  return {
    entry: { ...head, ...(isDevice ? { devMajor, devMinor } : {}) },
    inode: `${header.ownMajor}:${header.ownMinor} ${header.inode}`,
  };
}

/** chown(2) leaves a file with the largest number as it is: it belongs to root. */
function ownerOf(id: number): number {
  return id === 0xffff_ffff ? 0 : id;
}

async function exactly(reader: ByteReader, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const bytes = await reader.read(length);
  if (bytes === undefined) throw cpioError('it is truncated');
  // The reader may reuse its buffer.
  return Buffer.from(bytes);
}

function quoted(name: RawPath): string {
  return JSON.stringify(Buffer.from(name.slice(0, 100), 'latin1').toString());
}

function cpioError(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the cpio archive is invalid: ${what}`);
}
