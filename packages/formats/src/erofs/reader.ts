// https://docs.kernel.org/filesystems/erofs.html, fs/erofs/erofs_fs.h
import type { FileHandle } from 'node:fs/promises';
import type { EntryWithContent, RawPath } from '@lkt/oci';
import { BLOCK_SIZE } from './inode.ts';
import { erofsError, ErofsImage, type ErofsInode, type RandomAccess } from './image-reader.ts';

const ENTRY_SIZE = 12;
const MAX_DIRECTORY_BYTES = 256 * 2 ** 20;
const MAX_TARGET_BYTES = 4096;

/** Returns random access to a file. */
export async function randomAccess(file: FileHandle): Promise<RandomAccess> {
  const { size } = await file.stat();
  return {
    size,
    read: async (at, length) => {
      if (length < 0 || at + length > size) throw erofsError('an offset is outside of the image');
      const buffer = Buffer.alloc(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(buffer, done, length - done, at + done);
        if (bytesRead === 0) throw erofsError('it is truncated');
        done += bytesRead;
      }
      return buffer;
    },
  };
}

/**
 * Reads the entries of an erofs that lkt wrote, each directory before its contents, the root with
 * an empty path. Further names of a file are hard links. Read a content before requesting the next
 * entry.
 * @throws ARCHIVE_INVALID for an invalid image
 * @throws UNSUPPORTED for an image of another program
 */
export async function* readErofs(bytes: RandomAccess): AsyncGenerator<EntryWithContent> {
  const image = await ErofsImage.open(bytes);
  const paths = new Map<number, RawPath>();
  const waiting: { readonly path: RawPath; readonly id: number }[] = [{ path: '', id: image.root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, id } = next;
    const known = paths.get(id);
    const inode = await image.inode(id);
    if (known !== undefined && inode.type === 'directory')
      throw erofsError('a directory contains itself');
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
  return { path, type, mode, uid, gid, mtime, size: 0, xattrs };
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
    return { ...head, link: (await whole(image, inode, MAX_TARGET_BYTES)).toString('latin1') };
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
  const bytes = await whole(image, inode, MAX_DIRECTORY_BYTES);
  const children: { name: RawPath; id: number }[] = [];
  for (let start = 0; start < bytes.length; start += BLOCK_SIZE) {
    const block = bytes.subarray(start, start + BLOCK_SIZE);
    const first = block.length < ENTRY_SIZE ? 0 : block.readUInt16LE(8);
    if (first < ENTRY_SIZE || first % ENTRY_SIZE !== 0 || first > block.length)
      throw erofsError('a directory is malformed');
    for (let at = 0; at < first; at += ENTRY_SIZE) {
      const from = block.readUInt16LE(at + 8);
      const to = at + ENTRY_SIZE < first ? block.readUInt16LE(at + ENTRY_SIZE + 8) : block.length;
      const name = block.toString('latin1', from, Math.max(from, to)).replace(/\0+$/, '');
      if (name === '.' || name === '..') continue;
      if (name === '' || /[/\0]/.test(name)) throw erofsError('a name is malformed');
      // The kernel searches by bisection, and would find another file, or none.
      if (name <= (children.at(-1)?.name ?? '')) throw erofsError('the names are not in order');
      children.push({ name, id: Number(block.readBigUInt64LE(at)) });
    }
  }
  return children;
}

async function whole(image: ErofsImage, inode: ErofsInode, most: number): Promise<Buffer> {
  if (inode.size > most) throw erofsError('a link or a directory is too long');
  const pieces: Buffer[] = [];
  for await (const piece of image.content(inode)) pieces.push(piece);
  return Buffer.concat(pieces);
}
