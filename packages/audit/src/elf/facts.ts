import {
  DynamicTag,
  type ElfFile,
  offsetOf,
  type RandomAccess,
  readElf,
  SegmentFlag,
  SegmentType,
} from './elf-file.ts';
import { findInRange } from './find-bytes.ts';
import { hasStackProtector } from './stack-protector.ts';

/** How a program or library was compiled and linked. */
export interface ElfFacts {
  /** An `object` is unlinked, such as a kernel module or an archive member. */
  readonly kind: 'program' | 'library' | 'object';
  /** Derived from the compiler's marks. */
  readonly language: 'go' | 'rust' | 'other';
  /** A position independent executable; libraries always are position independent. */
  readonly pie: boolean;
  /** Path of the dynamic loader; undefined for a static program. */
  readonly interpreter: string | undefined;
  readonly executableStack: boolean;
  /** Has memory that is writable and executable. */
  readonly writableCode: boolean;
  /** Relocated data becomes read-only. */
  readonly relro: boolean;
  /** All functions are resolved before the program starts. */
  readonly bindNow: boolean;
  /** Has functions that are resolved on their first call, unless `bindNow`. */
  readonly lazyBinding: boolean;
  /** Library directories in RPATH and RUNPATH. */
  readonly rpath: readonly string[];
  readonly stackProtector: boolean;
}

const DF_BIND_NOW = 8;
const DF_1_NOW = 1;
const DF_1_PIE = 0x08000000;
const MAX_PATH = 4096;

/**
 * Reads the facts of an ELF file.
 * @throws ARCHIVE_INVALID for a malformed file
 */
export async function elfFacts(file: RandomAccess): Promise<ElfFacts> {
  const elf = await readElf(file);
  const { dynamic, segments, type } = elf;
  const interpreter = await interpreterOf(file, elf);
  const flags1 = flagsOf(dynamic, DynamicTag.flags1);
  // Some libraries are programs too, such as libc.so.6: they have an interpreter.
  const isProgram = type === 'executable' || interpreter !== undefined || has(flags1, DF_1_PIE);
  const stack = segments.find((segment) => segment.type === SegmentType.gnuStack);
  return {
    kind: isProgram ? 'program' : type === 'shared' ? 'library' : 'object',
    language: await languageOf(file, elf),
    pie: type === 'shared',
    interpreter,
    // Without GNU_STACK the kernel and the loader make the stack executable.
    executableStack:
      segments.length > 0 && (stack === undefined || has(stack.flags, SegmentFlag.execute)),
    writableCode: segments.some(
      (segment) =>
        segment.type === SegmentType.load &&
        has(segment.flags, SegmentFlag.execute) &&
        has(segment.flags, SegmentFlag.write),
    ),
    relro: segments.some((segment) => segment.type === SegmentType.gnuRelro),
    bindNow:
      dynamic.has(DynamicTag.bindNow) ||
      has(flagsOf(dynamic, DynamicTag.flags), DF_BIND_NOW) ||
      has(flags1, DF_1_NOW),
    lazyBinding: dynamic.has(DynamicTag.jmprel),
    rpath: await rpathOf(file, elf),
    stackProtector: await hasStackProtector(file, elf),
  };
}

function flagsOf(dynamic: ElfFile['dynamic'], tag: number): number {
  return dynamic.get(tag)?.[0] ?? 0;
}

function has(flags: number, flag: number): boolean {
  return (flags & flag) !== 0;
}

async function interpreterOf(file: RandomAccess, elf: ElfFile): Promise<string | undefined> {
  const segment = elf.segments.find(({ type }) => type === SegmentType.interpreter);
  if (segment === undefined) return undefined;
  return textAt(file, segment.offset, Math.min(segment.fileSize, MAX_PATH));
}

async function rpathOf(file: RandomAccess, elf: ElfFile): Promise<readonly string[]> {
  const [address] = elf.dynamic.get(DynamicTag.strtab) ?? [];
  const table = address === undefined ? undefined : offsetOf(elf, address);
  if (table === undefined) return [];
  const found: string[] = [];
  for (const tag of [DynamicTag.rpath, DynamicTag.runpath])
    for (const at of elf.dynamic.get(tag) ?? [])
      found.push(...(await textAt(file, table + at, MAX_PATH)).split(':'));
  return found;
}

async function textAt(file: RandomAccess, offset: number, length: number): Promise<string> {
  const bytes = await file.read(offset, length);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

const GO_SECTIONS = new Set(['.go.buildinfo', '.note.go.buildid', '.gopclntab']);
const RUST = 'rustc version ';

async function languageOf(
  file: RandomAccess,
  { sections }: ElfFile,
): Promise<ElfFacts['language']> {
  if (sections.some(({ name }) => GO_SECTIONS.has(name))) return 'go';
  const comment = sections.find(({ name }) => name === '.comment');
  if (comment === undefined) return 'other';
  const isRust = await findInRange(file, comment, RUST.length, (piece) => piece.includes(RUST));
  return isRust ? 'rust' : 'other';
}
