import { compareBytes } from '@lkt/oci';
import { packer } from '../bytes/pack.ts';
import { BLOCK_SIZE } from './inode.ts';
import type { Child, Inode } from '../file-system/file-system.ts';

const ENTRY_SIZE = 12;
const entryHead = packer('<QHBx');
/** File types of directory entries (EROFS_FT_…). */
const TYPE: Readonly<Record<Inode['type'], number>> = {
  file: 1,
  directory: 2,
  char: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
};

/**
 * The content of a directory: its entries with `.` and `..`, sorted. Each block has entries, then
 * their names.
 */
export class DirectoryContent {
  readonly size: number;
  readonly #blocks: readonly (readonly Child[])[];

  constructor(directory: Inode) {
    const entries = [
      { name: '.', inode: directory },
      { name: '..', inode: directory.parent },
      ...directory.children,
    ].toSorted((a, b) => compareBytes(a.name, b.name));
    const blocks: Child[][] = [];
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
    const blocks = this.#blocks.map((entries) => {
      const names = entries.map(({ name }) => Buffer.from(name, 'latin1'));
      let nameAt = ENTRY_SIZE * entries.length;
      const heads = entries.map(({ name, inode }) => {
        const head = entryHead(numberOf(inode), nameAt, TYPE[inode.type]);
        nameAt += name.length;
        return head;
      });
      return Buffer.concat([...heads, ...names], BLOCK_SIZE);
    });
    return Buffer.concat(blocks, this.size);
  }
}
