// https://docs.kernel.org/arch/x86/boot.html
import { open } from 'node:fs/promises';

/** Offsets in the header of an x86 kernel (Documentation/arch/x86/boot.rst). */
const HEADER_SIZE = 0x264;
const MAGIC_OFFSET = 0x202;
const VERSION_OFFSET = 0x206;
const RELEASE_OFFSET = 0x20e;
const INIT_SIZE_OFFSET = 0x260;
/** The first protocol version with `init_size`. */
const INIT_SIZE_VERSION = 0x020a;

/**
 * Returns `init_size` of a kernel file: the bytes of memory that the kernel needs until it has
 * started. undefined without an x86 boot header.
 */
export async function kernelInitSize(path: string): Promise<number | undefined> {
  await using file = await open(path, 'r');
  const head = Buffer.alloc(HEADER_SIZE);
  await file.read(head, 0, HEADER_SIZE, 0);
  if (!isKernel(head) || head.readUInt16LE(VERSION_OFFSET) < INIT_SIZE_VERSION) return undefined;
  return head.readUInt32LE(INIT_SIZE_OFFSET);
}

/**
 * Returns the release in the header of a kernel; empty if it has no release.
 * @param head the first bytes of the kernel, at least up to its release
 */
export function kernelRelease(head: Buffer): string {
  if (!isKernel(head)) return '';
  const at = 0x200 + head.readUInt16LE(RELEASE_OFFSET);
  const text = head.toString('latin1', at, at + 128).replace(/\0.*$/s, '');
  return /^[A-Za-z0-9._+-]+/.exec(text)?.[0] ?? '';
}

function isKernel(head: Buffer): boolean {
  return head.toString('latin1', MAGIC_OFFSET, MAGIC_OFFSET + 4) === 'HdrS';
}
