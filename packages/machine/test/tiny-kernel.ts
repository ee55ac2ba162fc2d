import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A "Linux kernel" of 100 bytes, with the header that QEMU's loader requires
 * (Documentation/arch/x86/boot.rst).
 *
 * It writes its command line to the serial port. At a `!` it powers the machine off, at a `#` it
 * resets it. At the end of the line it echoes input from the serial port, until a `!`.
 */
const CODE = [
  // real mode, ds = 0x1000: ds:si = command line (its linear address is in the header at 0x228)
  '66a1280266c1e8048ed831f6',
  // next: lodsb; end -> echo; '!' -> off; '#' -> reset; put; again
  'ac84c0741e3c21742f3c237433e80200ebee',
  // put: wait for the transmitter (0x3fd bit 5), write to 0x3f8
  '88c4bafd03eca82074fb88e0baf803eec3',
  // echo: wait for a byte (0x3fd bit 0); '!' -> off; put; again
  'bafd03eca80174fbbaf803ec3c217405e8dcffebeb',
  // off: ACPI's PM1a control port, S5
  'ba0406b80020eff4',
  // reset: the keyboard controller's reset line
  'b0fee664f4',
].join('');

export interface TinyImage extends AsyncDisposable {
  /** Prefix for `findBootFiles`. */
  readonly prefix: string;
  readonly dir: string;
}

export async function tinyImage(cmdline: string): Promise<TinyImage> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'lkt-machine-'));
  const prefix = join(dir.path, 'tiny');
  await writeTinyImage(prefix, cmdline);
  return { prefix, dir: dir.path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

export async function writeTinyImage(prefix: string, cmdline: string): Promise<void> {
  const kernel = Buffer.alloc(0x401);
  kernel.writeUInt8(1, 0x1f1); // setup_sects
  kernel.writeUInt16LE(0xaa55, 0x1fe);
  kernel.write('eb66', 0x200, 'hex'); // jmp 0x268
  kernel.write('HdrS', 0x202);
  kernel.writeUInt16LE(0x020c, 0x206); // protocol version
  kernel.writeUInt8(1, 0x211); // loaded high
  kernel.writeUInt32LE(0x100000, 0x214);
  kernel.writeUInt32LE(0x7fffffff, 0x22c);
  kernel.writeUInt32LE(0x7ff, 0x238); // longest command line
  kernel.write(CODE, 0x268, 'hex');
  await writeFile(`${prefix}-kernel`, kernel);
  await writeFile(`${prefix}-initrd.img`, '');
  await writeFile(`${prefix}-cmdline`, cmdline);
}

// Called by the scripts of packages/cli: `tiny PREFIX CMDLINE`.
if (import.meta.main) await writeTinyImage(process.argv[2] ?? '', process.argv[3] ?? '');
