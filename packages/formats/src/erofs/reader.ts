// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h
import type { FileHandle } from 'node:fs/promises';
import type { EntryWithContent, RawPath } from '@lkt/oci';
import { BLOCK } from './inode.ts';
import { broken, ErofsImage, type ErofsInode, type RandomBytes } from './image-reader.ts';

const ENTRY = 12;
const MAX_DIRECTORY_SIZE = 256 * 2 ** 20;
const MAX_LINK = 4096;

/** The bytes of a file. */
export async function fileBytes(file: FileHandle): Promise<RandomBytes> {
  const { size } = await file.stat();
  return {
    size,
    read: async (at, length) => {
      if (length < 0 || at + length > size) throw broken('something in it leads out of it');
      const buffer = Buffer.alloc(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(buffer, done, length - done, at + done);
        if (bytesRead === 0) throw broken('it is cut off');
        done += bytesRead;
      }
      return buffer;
    },
  };
}

/**
 * The entries of an erofs that lkt wrote, each directory before what is in it, the root with an empty path. Another name of a
 * file is a hard link. A content is to be read before the next entry is asked for.
 * @throws LktError ARCHIVE_INVALID; UNSUPPORTED for one that another program made
 */
export async function* readErofs(bytes: RandomBytes): AsyncGenerator<EntryWithContent> {
  const image = await ErofsImage.open(bytes);
  const paths = new Map<number, RawPath>();
  const waiting: { readonly path: RawPath; readonly id: number }[] = [{ path: '', id: image.root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, id } = next;
    const known = paths.get(id);
    const inode = await image.inode(id);
    if (known !== undefined && inode.type === 'directory') throw broken('a directory is in itself');
    if (known === undefined) paths.set(id, path);
    yield known === undefined
      ? await entryOf(image, inode, path)
      : { ...headOf(inode, path), type: 'hardlink', link: known };
    if (inode.type !== 'directory') continue;
    const children = await childrenOf(image, inode);
    for (const { name, id: child } of children.toReversed())
      waiting.push({ path: path === '' ? name : `${path}/${name}`, id: child });
  }
}

function headOf(
  { type, mode, uid, gid, mtime, xattrs }: ErofsInode,
  path: RawPath,
): EntryWithContent {
  const head = { path, type, mode, uid, gid, mtime, size: 0 };
  return xattrs === undefined ? head : { ...head, xattrs };
}

async function entryOf(
  image: ErofsImage,
  inode: ErofsInode,
  path: RawPath,
): Promise<EntryWithContent> {
  const head = headOf(inode, path);
  const { type, size, word } = inode;
  if (type === 'file') return size === 0 ? head : { ...head, size, content: image.content(inode) };
  if (type === 'symlink')
    return { ...head, link: (await whole(image, inode, MAX_LINK)).toString('latin1') };
  if (type !== 'char' && type !== 'block') return head;
  return {
    ...head,
    devMajor: (word >>> 8) & 0xfff,
    devMinor: (word & 0xff) | ((word >>> 12) & ~0xff),
  };
}

async function childrenOf(
  image: ErofsImage,
  inode: ErofsInode,
): Promise<readonly { readonly name: RawPath; readonly id: number }[]> {
  const bytes = await whole(image, inode, MAX_DIRECTORY_SIZE);
  const children: { name: RawPath; id: number }[] = [];
  for (let start = 0; start < bytes.length; start += BLOCK) {
    const block = bytes.subarray(start, start + BLOCK);
    const first = block.length < ENTRY ? 0 : block.readUInt16LE(8);
    if (first < ENTRY || first % ENTRY !== 0 || first > block.length)
      throw broken('a directory is none');
    for (let at = 0; at < first; at += ENTRY) {
      const from = block.readUInt16LE(at + 8);
      const to = at + ENTRY < first ? block.readUInt16LE(at + ENTRY + 8) : block.length;
      const name = block.toString('latin1', from, Math.max(from, to)).replace(/\0+$/, '');
      if (name === '.' || name === '..') continue;
      if (name === '' || /[/\0]/.test(name)) throw broken('a name is none');
      children.push({ name, id: Number(block.readBigUInt64LE(at)) });
    }
  }
  return children;
}

async function whole(image: ErofsImage, inode: ErofsInode, most: number): Promise<Buffer> {
  if (inode.size > most) throw broken('a link or a directory is too long');
  const pieces: Buffer[] = [];
  for await (const piece of image.content(inode)) pieces.push(piece);
  return Buffer.concat(pieces);
}
