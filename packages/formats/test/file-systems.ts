import { createHash } from 'node:crypto';
import { closeSync, createWriteStream, openSync, writeSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type EntryWithContent, fromRaw, writeTar } from '@lkt/oci';
import type { HeadedBytes } from '../src/bytes/headed-bytes.ts';
import { type FileSystem, fileSystemOf, type FsEntry } from '../src/file-system/file-system.ts';

/** A tree for file system writers: each path with its entry and, for a file, its content. */
export type Tree = Readonly<Record<string, Partial<FsEntry> & { readonly data?: Buffer }>>;

export function file(data: Buffer | string, more: Partial<FsEntry> = {}): Tree[string] {
  return { type: 'file', mode: 0o644, data: Buffer.from(data as string), ...more };
}

export function directory(mode = 0o755, more: Partial<FsEntry> = {}): Tree[string] {
  return { type: 'directory', mode, ...more };
}

function symlink(link: string): Tree[string] {
  return { type: 'symlink', mode: 0o777, link };
}

/** Builds the tree. FileMap with the same `file` are hard links; the first has the content. */
export function treeFiles(tree: Tree): FileSystem {
  const contents = new Map<string, Buffer>();
  const entries = Object.entries(tree).map(([path, { data, ...entry }]): FsEntry => {
    const base = { path, type: 'file' as const, mode: 0o644, uid: 0, gid: 0, mtime: 1_000_000_000 };
    if (data === undefined) return { ...base, size: 0, ...entry };
    const key = entry.file ?? path;
    if (!contents.has(key)) contents.set(key, data);
    return { ...base, ...entry, file: key, size: contents.get(key)?.length ?? 0 };
  });
  return fileSystemOf(entries, async function* () {
    // Not in path order.
    for (const [key, data] of [...contents].toReversed())
      yield { content: key, data: pieces(data) };
  });
}

/** Yields chunks of odd length, each overwritten when the next is requested, as archives do. */
async function* pieces(data: Buffer): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < data.length;) {
    const piece = Uint8Array.from(data.subarray(done, done + 70_001));
    done += piece.length;
    yield piece;
    piece.fill(0xee);
  }
}

/** Writes the same tree as a tar archive, with another writer. */
export async function treeTar(tree: Tree, path: string): Promise<void> {
  const { inodes } = treeFiles(tree);
  const first = new Map<number, string>();
  const entries: EntryWithContent[] = [];
  for (const { path: at, children } of inodes) {
    for (const { name, inode } of children) {
      const own = at === '' ? name : `${at}/${name}`;
      const target = first.get(inode.number);
      const { number: _, links: __, children: ___, parent: ____, label: _____, ...head } = inode;
      if (target === undefined) {
        first.set(inode.number, own);
        const data = tree[own]?.data;
        const content = data === undefined || data.length === 0 ? {} : { content: pieces(data) };
        entries.push({ ...head, path: own, ...content });
      } else {
        entries.push({ ...head, path: own, type: 'hardlink', size: 0, link: target });
      }
    }
  }
  await write(path, writeTar(entries));
}

/** Writes a file with its head. */
export async function writeHeaded(path: string, image: HeadedBytes): Promise<void> {
  await write(path, image.bytes());
  const fd = openSync(path, 'r+');
  let at = 0;
  for (const chunk of image.head()) at += writeSync(fd, chunk, 0, chunk.length, at);
  closeSync(fd);
}

/**
 * Writes a stream.
 * @returns its digest
 */
async function write(path: string, bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(async function* () {
    for await (const chunk of bytes) {
      const copy = Uint8Array.from(chunk);
      hash.update(copy);
      yield copy;
    }
  }, createWriteStream(path));
  return hash.digest('hex');
}

/** Returns incompressible bytes, equal for equal seeds. */
export function noise(size: number, seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let done = 0, index = 0; done < size; done += 64, index += 1)
    parts.push(createHash('sha512').update(`${seed} ${index}`).digest());
  return Buffer.concat(parts).subarray(0, size);
}

/** A small tree with a bit of everything, for golden digests. */
export const smallTree: Tree = {
  bin: symlink('usr/bin'),
  'dev/null': { type: 'char', mode: 0o666, devMajor: 1, devMinor: 3 },
  'usr/bin/a': file('text '.repeat(50_000), { file: 'a', mode: 0o755 }),
  'usr/bin/b': file('text '.repeat(50_000), { file: 'a', mode: 0o755 }),
  'etc/short': file('short', { xattrs: new Map([['user.one', Buffer.from('1')]]) }),
  'etc/none': file('', { uid: 1, gid: 2 }),
};

/** A tree with everything, and names of up to `longest` bytes. */
export function oddTree(longest: number): Tree {
  const many = Object.fromEntries(
    Array.from({ length: 3000 }, (_, index) => [
      `many/file with a long name ${index}`,
      file(`${index}`),
    ]),
  );
  const deep = Array.from({ length: 40 }, () => 'deeper').join('/');
  const shared = { file: 'shared' };
  return {
    bin: symlink('usr/bin'),
    dev: directory(),
    'dev/console': { type: 'char', mode: 0o600, devMajor: 5, devMinor: 1 },
    'dev/nvme0n1': { type: 'block', mode: 0o660, gid: 6, devMajor: 259, devMinor: 3 },
    'dev/many': { type: 'char', mode: 0o600, devMajor: 4, devMinor: 70_000 },
    'dev/pipe': { type: 'fifo', mode: 0o622 },
    empty: directory(0o1777, { uid: 70_000, gid: 80_000 }),
    'zero bytes': file(''),
    'one byte': file('1', { mode: 0o4755 }),
    block: file(noise(4096, 'block')),
    'block and more': file(noise(4097, 'more'), { mtime: 1 }),
    'big.bin': file(noise(3_000_001, 'big'), { uid: 1000, gid: 1000 }),
    'zeros.bin': file(Buffer.alloc(1_500_000)),
    'text.txt': file('the same words again and again\n'.repeat(20_000)),
    'text copy.txt': file('the same words again and again\n'.repeat(20_000)),
    'small copy': file('small'),
    'small too': file('small'),
    hard: directory(),
    'hard/a': file(noise(10_000, 'hard'), shared),
    'hard/b': file(noise(10_000, 'hard'), shared),
    'usr/bin/c': file(noise(10_000, 'hard'), shared),
    'hard/none': file('', { file: 'none' }),
    'hard/none too': file('', { file: 'none' }),
    [`${deep}/file`]: file('at the bottom'),
    'links/absolute': symlink('/usr/bin/c'),
    'links/root': symlink('/'),
    'links/up': symlink('../../a/./b/..'),
    'links/long': symlink(`/${Array.from({ length: 300 }, (_, i) => `part${i}`).join('/')}`),
    'links/longest': symlink(`${'x'.repeat(255)}/${'y'.repeat(255)}`),
    [`names/${'n'.repeat(longest)}`]: file('long name'),
    [`names/${'n'.repeat(longest - 1)}`]: directory(),
    'names/Name': file('1'),
    'names/name': file('2'),
    'names/name.Txt': file('3'),
    'names/name.txt': file('4'),
    'names/.hidden': file('5'),
    'names/-': file('6'),
    [Buffer.from('names/größe 漢字').toString('latin1')]: file('7'),
    'names/new\nline \\ "quoted"': file('8'),
    [`names/${fromRaw('')}tail.`]: file('9'),
    ...many,
  };
}
