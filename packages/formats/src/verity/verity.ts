// https://docs.kernel.org/admin-guide/device-mapper/verity.html
import { hash } from 'node:crypto';
import type { HeadedBytes } from '../bytes/headed-bytes.ts';

const BLOCK = 4096;
const DIGEST = 32;
const SECTOR = 512;

/** What a kernel that has dm-verity needs to know of a disk. */
export interface VerityRoot {
  /** How many blocks are covered. */
  readonly blocks: number;
  /** In hexadecimal. */
  readonly hash: string;
}

/** A file of whole blocks with its hash tree. */
export interface VerityImage extends HeadedBytes {
  /** Once all was written. */
  root(): VerityRoot | undefined;
}

/**
 * An image of whole blocks, whose head has whole blocks too, and behind it what dm-verity needs to verify each block when
 * it is read (Documentation/admin-guide/device-mapper/verity.rst): the superblock that veritysetup knows, and the tree of
 * SHA-256 hashes from its root down. There is no salt, so that the same image has the same root.
 */
export function planVerity(image: HeadedBytes): VerityImage {
  let root: VerityRoot | undefined;
  return {
    root: () => root,
    head: () => image.head(),
    bytes: async function* () {
      const leaves = new Level();
      let begun = Buffer.alloc(0);
      for await (const chunk of image.bytes()) {
        const bytes =
          begun.length === 0
            ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
            : Buffer.concat([begun, chunk]);
        const whole = bytes.length - (bytes.length % BLOCK);
        for (let at = 0; at < whole; at += BLOCK) leaves.add(bytes.subarray(at, at + BLOCK));
        begun = Buffer.from(bytes.subarray(whole));
        yield chunk;
      }
      const head = Buffer.concat([...image.head()]);
      if (begun.length > 0 || head.length % BLOCK > 0) throw new Error('there are no whole blocks');
      for (let at = 0; at < head.length; at += BLOCK)
        leaves.set(at / BLOCK, head.subarray(at, at + BLOCK));
      const levels = [leaves];
      for (let level = leaves; level.blocks.length > 1; levels.unshift(level)) {
        const above: Level = new Level();
        for (const block of level.blocks) above.add(block);
        level = above;
      }
      root = { blocks: leaves.count, hash: digest(levels[0]?.blocks[0] ?? head).toString('hex') };
      yield superblock(leaves.count);
      for (const { blocks } of levels) yield* blocks;
    },
  };
}

/** What the kernel needs in its command line to make the device `/dev/dm-0` of a disk (CONFIG_DM_INIT), and to panic when what it reads is not what was written. */
export function verityDevice({ blocks, hash: rootHash }: VerityRoot, disk: string): string {
  const sectors = (blocks * BLOCK) / SECTOR;
  const table = `verity 1 ${disk} ${disk} ${BLOCK} ${BLOCK} ${blocks} ${blocks + 1} sha256 ${rootHash} -`;
  return `dm-mod.create="root,,,ro,0 ${sectors} ${table} 1 panic_on_corruption"`;
}

/** Hashes, in whole blocks. */
class Level {
  readonly blocks: Buffer[] = [];
  count = 0;

  add(data: Uint8Array): void {
    if (this.count % HASHES === 0) this.blocks.push(Buffer.alloc(BLOCK));
    this.count += 1;
    this.set(this.count - 1, data);
  }

  set(index: number, data: Uint8Array): void {
    this.blocks[Math.floor(index / HASHES)]?.set(digest(data), (index % HASHES) * DIGEST);
  }
}

const HASHES = BLOCK / DIGEST;

function digest(data: Uint8Array): Buffer {
  return hash('sha256', data, 'buffer');
}

/** https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity */
function superblock(blocks: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write('verity', 'latin1');
  block.writeUInt32LE(1, 8);
  block.writeUInt32LE(1, 12);
  block.write('sha256', 32, 'latin1');
  block.writeUInt32LE(BLOCK, 64);
  block.writeUInt32LE(BLOCK, 68);
  block.writeBigUInt64LE(BigInt(blocks), 72);
  return block;
}
