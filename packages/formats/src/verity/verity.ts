// https://docs.kernel.org/admin-guide/device-mapper/verity.html
import { hash } from 'node:crypto';
import { SECTOR_SIZE } from '../bytes/disk.ts';
import type { HeadedBytes } from '../bytes/headed-bytes.ts';
import { packer } from '../bytes/pack.ts';

const BLOCK_SIZE = 4096;
const DIGEST_SIZE = 32;
const superblockFields = packer('<8sII16x32sIIQ');

/** The parameters of a verity device. */
export interface VerityRoot {
  /** Number of covered blocks. */
  readonly blocks: number;
  /** Root hash in hexadecimal. */
  readonly hash: string;
}

/** A file of whole blocks with its hash tree. */
export interface VerityImage extends HeadedBytes {
  /** Returns the root after `bytes` was read to its end. */
  root(): VerityRoot | undefined;
}

/**
 * Appends to an image the data for dm-verity (Documentation/admin-guide/device-mapper/verity.rst):
 * the superblock of veritysetup, and the tree of SHA-256 hashes from its root down. Image and head
 * must have whole blocks. There is no salt, so that equal images have equal roots.
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
        const whole = bytes.length - (bytes.length % BLOCK_SIZE);
        for (let at = 0; at < whole; at += BLOCK_SIZE)
          leaves.add(bytes.subarray(at, at + BLOCK_SIZE));
        begun = Buffer.from(bytes.subarray(whole));
        yield chunk;
      }
      const head = Buffer.concat([...image.head()]);
      if (begun.length > 0 || head.length % BLOCK_SIZE > 0)
        throw new Error('there are no whole blocks');
      for (let at = 0; at < head.length; at += BLOCK_SIZE)
        leaves.set(at / BLOCK_SIZE, head.subarray(at, at + BLOCK_SIZE));
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

/**
 * Returns the kernel parameter that creates the verity device `/dev/dm-0` of a disk
 * (CONFIG_DM_INIT). The kernel panics if a block does not match.
 */
export function verityCmdline({ blocks, hash: rootHash }: VerityRoot, disk: string): string {
  const sectors = (blocks * BLOCK_SIZE) / SECTOR_SIZE;
  const table = `verity 1 ${disk} ${disk} ${BLOCK_SIZE} ${BLOCK_SIZE} ${blocks} ${blocks + 1} sha256 ${rootHash} -`;
  return `dm-mod.create="root,,,ro,0 ${sectors} ${table} 1 panic_on_corruption"`;
}

/** One level of the hash tree, in whole blocks. */
class Level {
  readonly blocks: Buffer[] = [];
  count = 0;

  add(data: Uint8Array): void {
    if (this.count % HASHES_PER_BLOCK === 0) this.blocks.push(Buffer.alloc(BLOCK_SIZE));
    this.count += 1;
    this.set(this.count - 1, data);
  }

  set(index: number, data: Uint8Array): void {
    this.blocks[Math.floor(index / HASHES_PER_BLOCK)]?.set(
      digest(data),
      (index % HASHES_PER_BLOCK) * DIGEST_SIZE,
    );
  }
}

const HASHES_PER_BLOCK = BLOCK_SIZE / DIGEST_SIZE;

function digest(data: Uint8Array): Buffer {
  return hash('sha256', data, 'buffer');
}

/** Returns the superblock (https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity). */
function superblock(blocks: number): Buffer {
  const fields = superblockFields('verity', 1, 1, 'sha256', BLOCK_SIZE, BLOCK_SIZE, blocks);
  return Buffer.concat([fields], BLOCK_SIZE);
}
