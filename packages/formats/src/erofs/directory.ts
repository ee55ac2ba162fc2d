import { compareBytes, type RawPath } from '@lkt/oci';
import { BLOCK_SIZE } from './inode.ts';
import type { Inode } from '../file-system/file-system.ts';

const ENTRY_SIZE = 12;
/** File types of directory entries (EROFS_FT_…). */
const TYPE: Readonly<Record<Inode['type'], number>> = {
  file: 1,
  directory: 2,
  char: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
};

interface Named {
  readonly name: RawPath;
  readonly inode: Inode;
}

/**
 * The content of a directory: its entries with `.` and `..`, sorted. Each block has entries, then
 * their names.
 */
export class DirectoryContent {
  readonly size: number;
  readonly #blocks: readonly (readonly Named[])[];

  constructor(directory: Inode) {
    const entries = [
      { name: '.', inode: directory },
      { name: '..', inode: directory.parent },
      ...directory.children,
    ].toSorted((a, b) => compareBytes(a.name, b.name));
    const blocks: Named[][] = [];
    let used = BLOCK_SIZE;
    for (const entry of entries) {
      const size = ENTRY_SIZE + entry.name.length;
      if (used + size > BLOCK_SIZE) {
        blocks.push([]);
        used = 0;
      }
      blocks.at(-1)?.push(entry);
      used += size;
    }
    this.#blocks = blocks;
    this.size = (blocks.length - 1) * BLOCK_SIZE + used;
  }

  /**
   * Returns the bytes of the directory.
   * @param numberOf returns the erofs number of an inode
   */
  bytes(numberOf: (inode: Inode) => number): Buffer {
    const all = Buffer.alloc(this.size);
    for (const [index, entries] of this.#blocks.entries()) {
      const block = all.subarray(index * BLOCK_SIZE, (index + 1) * BLOCK_SIZE);
      let at = 0;
      let nameAt = ENTRY_SIZE * entries.length;
      for (const { name, inode } of entries) {
        block.writeBigUInt64LE(BigInt(numberOf(inode)), at);
        block.writeUInt16LE(nameAt, at + 8);
        block.writeUInt8(TYPE[inode.type], at + 10);
        block.write(name, nameAt, 'latin1');
        at += ENTRY_SIZE;
        nameAt += name.length;
      }
    }
    return all;
  }
}
