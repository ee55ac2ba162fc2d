import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Interpreters of foreign programs (Documentation/admin-guide/binfmt-misc.rst). */
const BINFMT_MISC = '/proc/sys/fs/binfmt_misc';

/** `e_machine` and word size of programs, by OCI architecture. */
const MACHINES: Readonly<Record<string, readonly [machine: number, bits: 32 | 64]>> = {
  '386': [3, 32],
  amd64: [62, 64],
  arm: [40, 32],
  arm64: [183, 64],
  ppc64le: [21, 64],
  riscv64: [243, 64],
};

/**
 * Reports whether the kernel runs programs of an architecture in an emulator that works in any root
 * directory: one that it opened at registration (flag `F`), as Debian's qemu-user-binfmt registers
 * QEMU.
 */
export function isEmulated(architecture: string, dir: string = BINFMT_MISC): boolean {
  let names: readonly string[];
  try {
    names = readdirSync(dir);
    if (!readFileSync(join(dir, 'status'), 'utf8').startsWith('enabled')) return false;
  } catch {
    // Not mounted: nothing is emulated.
    return false;
  }
  const handlers = names.filter((name) => name !== 'register' && name !== 'status');
  return handlers.some((name) => {
    try {
      return isHandlerFor(architecture, readFileSync(join(dir, name), 'utf8'));
    } catch {
      // Unregistered meanwhile.
      return false;
    }
  });
}

/**
 * Reports whether a handler runs programs of an architecture.
 * @param text `enabled`, `interpreter PATH`, `flags: …`, `offset 0`, `magic HEX`, `mask HEX`
 */
function isHandlerFor(architecture: string, text: string): boolean {
  const value = (key: string): string => new RegExp(`^${key}:? (.*)$`, 'm').exec(text)?.[1] ?? '';
  const [machine, bits] = MACHINES[architecture] ?? [];
  if (machine === undefined || !/^enabled$/m.test(text) || !value('flags').includes('F'))
    return false;
  const magic = Buffer.from(value('magic'), 'hex');
  // The ELF header: the magic number, the class at 4, the machine at 18.
  return (
    value('offset') === '0' &&
    magic.length >= 20 &&
    magic.subarray(0, 4).equals(ELF) &&
    magic[4] === (bits === 64 ? 2 : 1) &&
    magic.readUInt16LE(18) === machine
  );
}

const ELF = Buffer.from('\u007fELF', 'latin1');
