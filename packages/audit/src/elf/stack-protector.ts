import { DynamicTag, type ElfFile, offsetOf, type RandomAccess } from './elf-file.ts';
import { findInRange } from './find-bytes.ts';

const STRTAB = 3;
const TEXT_SECTION = '.text';
/**
 * The function that compiled code calls for a changed canary; on 32 bits through a local symbol.
 */
const NAMES = ['\0__stack_chk_fail\0', '\0__stack_chk_fail_local\0'];
const MAX_MATCH_BYTES = 32;

/**
 * `e_machine` of x86-64, where a thread's canary is at %fs:0x28 (System V ABI for AMD64, glibc and
 * musl).
 */
const X86_64 = 62;

/**
 * Reports whether a program checks stack canaries: it has the symbol of the failure function or, in
 * a stripped static program, code that loads canaries.
 */
export async function hasStackProtector(file: RandomAccess, elf: ElfFile): Promise<boolean> {
  for (const part of namesOf(elf))
    if (
      await findInRange(file, part, MAX_MATCH_BYTES, (piece) =>
        NAMES.some((name) => piece.includes(name)),
      )
    )
      return true;
  const text = elf.sections.find(({ name }) => name === TEXT_SECTION);
  if (elf.machine !== X86_64 || text === undefined) return false;
  return findInRange(file, text, MAX_MATCH_BYTES, loadsCanary);
}

function* namesOf(elf: ElfFile): Generator<{ readonly offset: number; readonly size: number }> {
  const [address = 0] = elf.dynamic.get(DynamicTag.strtab) ?? [];
  const [size = 0] = elf.dynamic.get(DynamicTag.strsz) ?? [];
  const offset = offsetOf(elf, address);
  if (offset !== undefined) yield { offset, size };
  for (const section of elf.sections)
    if (section.type === STRTAB && section.name === '.strtab') yield section;
}

/**
 * Matches `mov %fs:0x28, %reg`, and `sub`, `cmp` and `xor` with it: 64 [REX] opcode ModRM 25 28 00
 * 00 00.
 */
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
