import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdtempDisposable, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';

/** QEMU's accelerators: the processor's virtualisation (`kvm`) or software translation (`tcg`). */
export type AcceleratorName = 'kvm' | 'tcg';

/** The accelerator chosen for a machine. */
export interface Accelerator {
  readonly name: AcceleratorName;
  /** Why it is not `kvm`, for messages; undefined if it is, or if `tcg` was requested. */
  readonly reason?: string;
}

/** Options of `probeAccelerator`. */
export interface ProbeOptions {
  readonly qemu: string;
  /**
   * File that caches the result until the next boot of the host. Every call probes without it, or
   * if its directory does not exist.
   */
  readonly cacheFile?: string;
  readonly device?: string;
  readonly timeoutMs?: number;
}

/**
 * Reports whether KVM works on this host. Runs a guest of 150 bytes that enters 64-bit mode and
 * then ends QEMU.
 *
 * The existence of `/dev/kvm` is not enough: in some virtual machines it opens, but the guest never
 * runs.
 */
export async function probeAccelerator(options: ProbeOptions): Promise<Accelerator> {
  const device = options.device ?? '/dev/kvm';
  try {
    await access(device, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { name: 'tcg', reason: `there is no ${device}` };
    if (isErrno(error, 'EACCES', 'EPERM'))
      return { name: 'tcg', reason: `this user lacks access to ${device}` };
    throw error;
  }
  const key = await cacheKey(options.qemu, device);
  const known = await readCached(options.cacheFile, key);
  if (known !== undefined) return known;
  const works = await runs64BitGuest(options.qemu, ['-accel', 'kvm'], options.timeoutMs ?? 2000);
  const result: Accelerator = works
    ? { name: 'kvm' }
    : { name: 'tcg', reason: `${device} exists but does not run a guest` };
  await writeCached(options.cacheFile, key, result);
  return result;
}

/** Reports whether QEMU with these arguments runs the probe guest to its end in time. */
export async function runs64BitGuest(
  qemu: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<boolean> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-probe-'));
  const rom = join(dir.path, 'rom');
  await writeFile(rom, probeRom());
  const child = spawn(
    qemu,
    [
      ['-machine', 'pc', ...args, '-nodefaults', '-no-user-config', '-display', 'none'],
      ['-m', '4', '-bios', rom, '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ].flat(),
    { stdio: 'ignore' },
  );
  // Do not wait for the exit: a guest stuck in the kernel may die late or never.
  const code = await new Promise<number | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    child.once('error', () => resolve(undefined));
    child.once('exit', (status) => resolve(status ?? undefined));
    child.once('close', () => clearTimeout(timer));
  });
  child.kill('SIGKILL');
  child.unref();
  // isa-debug-exit exits with the written byte shifted left by one, plus one.
  return code === (PROBE_ANSWER << 1) + 1;
}

const PROBE_ANSWER = 0x2a;

/**
 * 16-bit code that loads a descriptor table and enters protected mode; 32-bit code that maps the
 * first 2 MiB with one
 * large page and enters long mode; 64-bit code that writes the answer to port 0xf4 and halts.
 */
const PROBE_CODE = [
  // cli; lgdt cs:[0xb8]; mov eax,cr0; or al,1; mov cr0,eax; jmp 8:0xf0018
  'fa2e660f0116b8000f20c00c010f22c066ea18000f000800',
  // mov ax,0x10; mov ds,ax; mov es,ax; [0x1000]=0x2003; [0x2000]=0x3003; [0x3000]=0x83, each as
  // 64 bits
  '66b810008ed88ec0c7050010000003200000c7050410000000000000c7050020000003300000',
  'c7050420000000000000c7050030000083000000c7050430000000000000',
  // cr3=0x1000; cr4|=PAE; EFER|=LME; cr0|=PG; jmp 0x18:0xf008a
  'b8001000000f22d80f20e00c200f22e0b9800000c00f3280cc010f300f20c00d000000800f22c0ea8a000f001800',
  // mov dx,0xf4; mov al,0x2a; out dx,al; hlt; jmp $-1
  '66baf400b02aeef4ebfd488d7600',
  // descriptors: null, 32-bit code, data, 64-bit code; then the pointer to them
  '0000000000000000ffff0000009acf00ffff00000092cf00ffff0000009aaf00',
  '1f0098000f00',
].join('');

/**
 * Returns the 64 KiB below 1 MiB. The processor starts at offset 0xfff0, which jumps to the start
 * of the code.
 */
function probeRom(): Buffer {
  const rom = Buffer.alloc(0x10000);
  rom.write(PROBE_CODE, 'hex');
  rom.write('e90d00', 0xfff0, 'hex');
  return rom;
}

/** Returns the inputs of the result: the boot of the host, the device and the program. */
async function cacheKey(qemu: string, device: string): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const { ctimeMs } = await stat(device);
  return [boot.trim(), ctimeMs, qemu].join(' ');
}

async function readCached(file: string | undefined, key: string): Promise<Accelerator | undefined> {
  if (file === undefined) return undefined;
  try {
    const saved: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof saved !== 'object' || saved === null) return undefined;
    if (!('key' in saved) || saved.key !== key || !('name' in saved)) return undefined;
    if (saved.name === 'kvm') return { name: 'kvm' };
    const reason = 'reason' in saved ? String(saved.reason) : 'the last probe failed';
    return { name: 'tcg', reason };
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES'))
      return undefined;
    throw error;
  }
}

async function writeCached(
  file: string | undefined,
  key: string,
  result: Accelerator,
): Promise<void> {
  if (file === undefined) return;
  const temporary = `${file}.${process.pid}`;
  try {
    await writeFile(temporary, `${JSON.stringify({ key, ...result })}\n`);
    await rename(temporary, file);
  } catch (error) {
    // The next start probes again.
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'))
      throw error;
  }
}
