import { open } from 'node:fs/promises';
import { type Disk, type Extent, roundUp } from '@lkt/formats';
import { type MachineImage, ProviderError } from '../provider.ts';

/** Size of the blocks that are searched for data. */
const BLOCK_BYTES = 512 * 1024;

/** A raw disk, and the firmware that boots it. */
export interface RawDisk {
  readonly path: string;
  readonly firmware: 'bios' | 'efi';
}

/**
 * Returns the raw disk of an image.
 * @param provider the name for messages
 * @throws ProviderError `invalid` if the image has none
 */
export function rawDiskOf({ disk: given, files }: MachineImage, provider: string): RawDisk {
  const disk = given ?? ('kind' in files ? files : undefined);
  if (disk?.kind === 'disk' && disk.format === 'raw') return disk;
  throw new ProviderError('invalid', `${provider} boots disks, and the image has none`, {
    fix: 'add it: lkt build --format kernel+initrd,raw-efi, then lkt fleet image --disk',
  });
}

/**
 * Returns a file as a disk of the blocks that are not all zero.
 * @param unit the size is a multiple of it
 */
export async function diskOfFile(path: string, unit: number): Promise<Disk> {
  await using file = await open(path);
  const { size } = await file.stat();
  const block = Buffer.alloc(BLOCK_BYTES);
  const ranges: { offset: number; size: number }[] = [];
  for (let offset = 0; offset < size; offset += BLOCK_BYTES) {
    const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, offset);
    if (block.subarray(0, bytesRead).every((byte) => byte === 0)) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last.offset + last.size === offset) last.size += bytesRead;
    else ranges.push({ offset, size: bytesRead });
  }
  const extents = ranges.map((range): Extent => ({ ...range, bytes: () => read(path, range) }));
  return { size: roundUp(Math.max(size, 1), unit), extents };
}

async function* read(
  path: string,
  { offset, size }: { readonly offset: number; readonly size: number },
): AsyncGenerator<Uint8Array> {
  await using file = await open(path);
  for (let done = 0; done < size;) {
    const block = Buffer.alloc(Math.min(BLOCK_BYTES, size - done));
    const { bytesRead } = await file.read(block, 0, block.length, offset + done);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
    done += bytesRead;
  }
}
