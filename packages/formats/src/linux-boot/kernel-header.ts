// https://docs.kernel.org/arch/x86/boot.html
import { open } from 'node:fs/promises';

/** What the header of a kernel for x86 says, which is in its first sectors (Documentation/arch/x86/boot.rst). */
const HEAD = 0x264;
const MAGIC = 0x202;
const VERSION = 0x206;
const RELEASE = 0x20e;
const INIT_SIZE = 0x260;
/** The first version of the protocol with `init_size`. */
const WITH_INIT_SIZE = 0x020a;

/**
 * Bytes of memory that the kernel in the file at `path` takes until it has started, as its header says; undefined for what has
 * no such header.
 */
export async function unpackedKernelSize(path: string): Promise<number | undefined> {
  await using file = await open(path, 'r');
  const head = Buffer.alloc(HEAD);
  await file.read(head, 0, HEAD, 0);
  if (!isKernel(head) || head.readUInt16LE(VERSION) < WITH_INIT_SIZE) return undefined;
  return head.readUInt32LE(INIT_SIZE);
}

/** The release of the kernel that begins with `head`, as its header has it; empty where it says none. */
export function kernelRelease(head: Buffer): string {
  if (!isKernel(head)) return '';
  const at = 0x200 + head.readUInt16LE(RELEASE);
  const text = head.toString('latin1', at, at + 128).replace(/\0.*$/s, '');
  return /^[A-Za-z0-9._+-]+/.exec(text)?.[0] ?? '';
}

function isKernel(head: Buffer): boolean {
  return head.toString('latin1', MAGIC, MAGIC + 4) === 'HdrS';
}
