import { DynamicTag, type ElfFile, offsetOf, type RandomAccess } from './elf-file.ts';
import { findInPart } from './find-bytes.ts';

const STRTAB = 3;
const EXECUTABLE_TEXT = '.text';
/** What a compiled function calls when its canary has changed; in a library of its own for 32 bits. */
const NAMES = ['\0__stack_chk_fail\0', '\0__stack_chk_fail_local\0'];
const MAX_PATTERN_LENGTH = 32;

/** `e_machine` of x86-64, where the canary of a thread is at %fs:0x28 (System V ABI for AMD64, glibc and musl). */
const X86_64 = 62;

/**
 * Whether the code of a program checks canaries on its stack: it names what is called when one has changed or, where the
 * names are stripped from a program that stands alone, it loads canaries.
 */
export async function hasStackProtector(file: RandomAccess, elf: ElfFile): Promise<boolean> {
  for (const part of namesOf(elf))
    if (
      await findInPart(file, part, MAX_PATTERN_LENGTH, (piece) =>
        NAMES.some((name) => piece.includes(name)),
      )
    )
      return true;
  const text = elf.sections.find(({ name }) => name === EXECUTABLE_TEXT);
  if (elf.machine !== X86_64 || text === undefined) return false;
  return findInPart(file, text, MAX_PATTERN_LENGTH, loadsCanary);
}

function* namesOf(elf: ElfFile): Generator<{ readonly offset: number; readonly size: number }> {
  const [address = 0] = elf.dynamic.get(DynamicTag.strtab) ?? [];
  const [size = 0] = elf.dynamic.get(DynamicTag.strsz) ?? [];
  const offset = offsetOf(elf, address);
  if (offset !== undefined) yield { offset, size };
  for (const section of elf.sections)
    if (section.type === STRTAB && section.name === '.strtab') yield section;
}

/** `mov %fs:0x28, %reg` or `sub`, `cmp` and `xor` with it: 64 [REX] opcode ModRM 25 28 00 00 00. */
function loadsCanary(code: Buffer): boolean {
  for (let at = code.indexOf(ADDRESS); at !== -1; at = code.indexOf(ADDRESS, at + 1)) {
    const [prefix, rex = 0, opcode = 0, modrm = 0] = code.subarray(Math.max(at - 4, 0), at);
    const isMemory = (modrm & 0xc7) === 0x04;
    if (prefix === 0x64 && (rex & 0xf8) === 0x48 && isMemory && OPCODES.has(opcode)) return true;
  }
  return false;
}

/** SIB without base and index, then the displacement 0x28. */
const ADDRESS = Buffer.from([0x25, 0x28, 0, 0, 0]);
const OPCODES: ReadonlySet<number> = new Set([0x8b, 0x2b, 0x3b, 0x33]);
