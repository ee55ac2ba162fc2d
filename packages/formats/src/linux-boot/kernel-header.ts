// https://docs.kernel.org/arch/x86/boot.html

/** Bytes of an x86 kernel up to the end of its header (Documentation/arch/x86/boot.rst). */
export const KERNEL_HEADER_BYTES = 0x264;
/** Offsets in the header. */
const MAGIC_OFFSET = 0x202;
const VERSION_OFFSET = 0x206;
const RELEASE_OFFSET = 0x20e;
const INIT_SIZE_OFFSET = 0x260;
/** The first protocol version with `init_size`. */
const INIT_SIZE_VERSION = 0x020a;

/**
 * Returns `init_size` of a kernel: the bytes of memory that the kernel needs until it has started.
 * undefined without an x86 boot header.
 * @param head the first `KERNEL_HEADER_BYTES` of the kernel
 */
export function kernelInitSize(head: Buffer): number | undefined {
  if (head.length < KERNEL_HEADER_BYTES || !isKernel(head)) return undefined;
  if (head.readUInt16LE(VERSION_OFFSET) < INIT_SIZE_VERSION) return undefined;
  return head.readUInt32LE(INIT_SIZE_OFFSET);
}

/** Bytes of a kernel file up to the end of any version text that its header can point to. */
export const KERNEL_HEAD_BYTES: number = 0x200 + 0xff_ff + 256;

/**
 * Returns the version text in the header of an x86 kernel: the release, the builder and the build.
 * Empty without a header or text.
 * @param head the first bytes of the kernel, at least up to its text
 */
export function kernelVersionText(head: Buffer): string {
  if (head.length < RELEASE_OFFSET + 2 || !isKernel(head)) return '';
  const at = 0x200 + head.readUInt16LE(RELEASE_OFFSET);
  return head.toString('latin1', at, at + 256).replace(/\0.*$/s, '');
}

/**
 * Returns the release in the header of an x86 kernel; empty if it has no release.
 * @param head the first bytes of the kernel, at least up to its release
 */
export function kernelRelease(head: Buffer): string {
  return /^[A-Za-z0-9._+-]+/.exec(kernelVersionText(head))?.[0] ?? '';
}

function isKernel(head: Buffer): boolean {
  return head.toString('latin1', MAGIC_OFFSET, MAGIC_OFFSET + 4) === 'HdrS';
}
