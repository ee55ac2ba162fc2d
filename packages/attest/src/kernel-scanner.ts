import { gunzipSync } from 'node:zlib';
import { fromRaw, type RawPath } from '@lkt/oci';
import { KERNEL_HEAD_BYTES, kernelVersionText } from '@lkt/formats/kernel-header';

/** Start of the text that a kernel prints first (`linux_banner`, init/version-timestamp.c). */
const BANNER = Buffer.from('Linux version ', 'latin1');
/** Release, then builder and compiler: unlike in programs that only print the text. */
const BANNER_FORM = /^Linux version (\d[^ ()\0]* \([^()\0]*@[^()\0]*\)) \([^\0\n]*/;
/** Bytes; the kernel's buffer for its version is smaller. */
const MAX_BANNER_BYTES = 512;

const ELF = '\x7fELF';
/** Magics of arm64 and RISC-V kernels (arch/arm64/booting.rst, riscv/boot-image-header.rst). */
const IMAGE_MAGIC_OFFSET = 0x38;
const IMAGE_MAGICS = ['ARM\x64', 'RSC\x05'];
const X86_MAGIC_OFFSET = 0x202;
const X86_MAGIC = 'HdrS';
/** Bytes that suffice to recognise a kernel. */
const HEAD = X86_MAGIC_OFFSET + X86_MAGIC.length;

const GZIP = '\x1f\x8b\x08';
/** Names of compressed kernels: only these are unpacked. */
const GZIP_NAME = /(?:^|\/)(?:kernel|vmlinuz|Image\.gz)[^/]*$/;
const MAX_PACKED_BYTES = 64 * 2 ** 20;
const MAX_UNPACKED_BYTES = 256 * 2 ** 20;

/**
 * Finds the version of a Linux kernel in a file that arrives in chunks: in the header of an x86
 * kernel, or in the banner of an ELF file or of an image for arm64 or RISC-V, also compressed by
 * gzip.
 */
export class KernelScanner {
  readonly #mayBePacked: boolean;
  #kind: 'banner' | 'gzip' | 'none' | 'unknown' | 'x86' = 'unknown';
  /** The bytes that are needed at the end: the whole file, or its start. */
  readonly #kept: Buffer[] = [];
  #length = 0;
  readonly #banner = new BannerScanner();

  constructor(path: RawPath, size: number) {
    this.#mayBePacked = GZIP_NAME.test(fromRaw(path)) && size <= MAX_PACKED_BYTES;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#kind === 'none') return;
    if (this.#kind === 'banner') {
      this.#banner.push(bytes);
      return;
    }
    const isNeeded = this.#kind !== 'x86' || this.#length < KERNEL_HEAD_BYTES;
    if (isNeeded) this.#kept.push(Buffer.from(bytes));
    this.#length += bytes.length;
    if (this.#kind === 'unknown' && this.#length >= HEAD) this.#recognise();
  }

  /** Returns the version text of the kernel, as its builder wrote it; undefined for other files. */
  result(): string | undefined {
    if (this.#kind === 'unknown') this.#recognise();
    if (this.#kind === 'x86') return kernelVersionText(Buffer.concat(this.#kept)) || undefined;
    if (this.#kind === 'gzip') this.#banner.push(unpack(Buffer.concat(this.#kept)));
    return this.#banner.result;
  }

  #recognise(): void {
    const head = Buffer.concat(this.#kept);
    this.#kind = kindOf(head, this.#mayBePacked);
    if (this.#kind === 'banner') this.#banner.push(head);
    if (this.#kind === 'banner' || this.#kind === 'none') this.#kept.length = 0;
  }
}

function kindOf(head: Buffer, mayBePacked: boolean): 'banner' | 'gzip' | 'none' | 'x86' {
  const has = (text: string, at = 0): boolean =>
    head.toString('latin1', at, at + text.length) === text;
  if (has(X86_MAGIC, X86_MAGIC_OFFSET)) return 'x86';
  if (has(ELF) || IMAGE_MAGICS.some((magic) => has(magic, IMAGE_MAGIC_OFFSET))) return 'banner';
  return mayBePacked && has(GZIP) ? 'gzip' : 'none';
}

/** Returns nothing if the file is damaged or too large: then its version is unknown. */
function unpack(packed: Buffer): Buffer {
  try {
    return gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch {
    return Buffer.alloc(0);
  }
}

/** Finds a banner in chunks. */
class BannerScanner {
  /** The last bytes seen, or all since a possible banner. */
  #held: Buffer = Buffer.alloc(0);
  /** The text after "Linux version", up to the builder. */
  result: string | undefined;

  push(bytes: Buffer): void {
    if (this.result !== undefined) return;
    const window = Buffer.concat([this.#held, bytes]);
    let start = window.indexOf(BANNER);
    while (start !== -1 && start + MAX_BANNER_BYTES <= window.length) {
      this.#read(window.subarray(start, start + MAX_BANNER_BYTES));
      if (this.result !== undefined) return;
      start = window.indexOf(BANNER, start + 1);
    }
    this.#held = Buffer.from(window.subarray(start === -1 ? -(BANNER.length - 1) : start));
  }

  #read(text: Buffer): void {
    this.result = BANNER_FORM.exec(text.toString('latin1'))?.[0].slice(BANNER.length);
  }
}
