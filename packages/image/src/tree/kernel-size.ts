import { open } from 'node:fs/promises';

/** The header is in the first sectors (Documentation/arch/x86/boot.rst). */
const HEAD = 0x264;
const MAGIC = 0x202;
const VERSION = 0x206;
const INIT_SIZE = 0x260;
/** The first version of the protocol with `init_size`. */
const WITH_INIT_SIZE = 0x020a;

/**
 * Bytes of memory that a kernel for x86 takes until it has started, as the header of the file at `path` says; undefined for
 * what has no such header.
 */
export async function unpackedKernelSize(path: string): Promise<number | undefined> {
  await using file = await open(path, 'r');
  const head = Buffer.alloc(HEAD);
  await file.read(head, 0, HEAD, 0);
  const isKernel = head.toString('latin1', MAGIC, MAGIC + 4) === 'HdrS';
  if (!isKernel || head.readUInt16LE(VERSION) < WITH_INIT_SIZE) return undefined;
  return head.readUInt32LE(INIT_SIZE);
}
