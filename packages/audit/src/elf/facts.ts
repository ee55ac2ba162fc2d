import {
  DynamicTag,
  type ElfFile,
  offsetOf,
  type RandomAccess,
  readElf,
  SegmentFlag,
  SegmentType,
} from './elf-file.ts';
import { findInPart } from './find-bytes.ts';
import { hasStackProtector } from './stack-protector.ts';

/** How a program or library was compiled and linked, as far as its file says. */
export interface ElfFacts {
  /** `object` is not linked, such as a kernel module or an archive's member. */
  readonly kind: 'program' | 'library' | 'object';
  /** By what the compiler left in the file. */
  readonly language: 'go' | 'rust' | 'other';
  /** A program that can be loaded anywhere; libraries always can. */
  readonly pie: boolean;
  /** What loads it; undefined for a program that stands alone. */
  readonly interpreter: string | undefined;
  readonly executableStack: boolean;
  /** Memory that can be written and run. */
  readonly writableCode: boolean;
  /** What the loader changed is then made read-only. */
  readonly relro: boolean;
  /** All functions are found before the program starts. */
  readonly bindNow: boolean;
  /** There are functions that would be found when they are first called. */
  readonly lazyBinding: boolean;
  /** Directories of libraries that the file itself names. */
  readonly rpath: readonly string[];
  readonly stackProtector: boolean;
}

const DF_BIND_NOW = 8;
const DF_1_NOW = 1;
const DF_1_PIE = 0x08000000;
const MAX_PATH = 4096;

/**
 * @throws LktError ARCHIVE_INVALID for a file that breaks the format
 */
export async function elfFacts(file: RandomAccess): Promise<ElfFacts> {
  const elf = await readElf(file);
  const { dynamic, segments, type } = elf;
  const interpreter = await interpreterOf(file, elf);
  const flags1 = flagsOf(dynamic, DynamicTag.flags1);
  // Debian's own libraries can be programs too, such as libc.so.6: what has an entry and an interpreter is one.
  const isProgram = type === 'executable' || interpreter !== undefined || has(flags1, DF_1_PIE);
  const stack = segments.find((segment) => segment.type === SegmentType.gnuStack);
  return {
    kind: isProgram ? 'program' : type === 'shared' ? 'library' : 'object',
    language: await languageOf(file, elf),
    pie: type === 'shared',
    interpreter,
    // Without a word of it the kernel and the loader give an executable stack.
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
  const isRust = await findInPart(file, comment, RUST.length, (piece) => piece.includes(RUST));
  return isRust ? 'rust' : 'other';
}
