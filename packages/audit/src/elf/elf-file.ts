import { LktError } from '@lkt/core';

/**
 * The parts of an ELF file that show how it was linked.
 *
 * Sources: System V ABI, "Object Files" and "Program Loading and Dynamic Linking"; GNU values from
 * <elf.h>.
 */
export interface ElfFile {
  readonly bits: 32 | 64;
  /** `e_type`. */
  readonly type: 'relocatable' | 'executable' | 'shared' | 'core' | 'other';
  /** `e_machine`: 62 is x86-64, 183 AArch64. */
  readonly machine: number;
  readonly segments: readonly Segment[];
  /** Empty if the section headers were stripped. */
  readonly sections: readonly Section[];
  /** Values of the dynamic section by tag, in file order. */
  readonly dynamic: ReadonlyMap<number, readonly number[]>;
}

interface Segment {
  readonly type: number;
  /** PF_X 1, PF_W 2, PF_R 4. */
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

/** A file with random access. */
export interface RandomAccess {
  readonly size: number;
  /** Returns up to `length` bytes; fewer at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** `p_type` of segments. */
export const SegmentType = {
  load: 1,
  dynamic: 2,
  interpreter: 3,
  gnuStack: 0x6474e551,
  gnuRelro: 0x6474e552,
} as const;
/** `p_flags` of segments. */
export const SegmentFlag = { execute: 1, write: 2 } as const;
/** `d_tag` of the dynamic section. */
export const DynamicTag = {
  strtab: 5,
  strsz: 10,
  rpath: 15,
  jmprel: 23,
  bindNow: 24,
  runpath: 29,
  flags: 30,
  flags1: 0x6ffffffb,
} as const;

const TYPES = ['other', 'relocatable', 'executable', 'shared', 'core'] as const;
/** From PN_XNUM on the number is stored elsewhere; no program has that many. */
const MAX_HEADERS = 0xff00;
const MAX_NAMES_BYTES = 2 ** 20;
const MAX_DYNAMIC_BYTES = 2 ** 20;

/** Reports whether the bytes start with the ELF magic. */
export function isElf(start: Uint8Array): boolean {
  return start[0] === 0x7f && start[1] === 0x45 && start[2] === 0x4c && start[3] === 0x46;
}

/**
 * Parses an ELF file. Bounds the amount that it reads.
 * @throws ARCHIVE_INVALID for a malformed file
 */
export async function readElf(file: RandomAccess): Promise<ElfFile> {
  const ident = await file.read(0, 16);
  if (ident.length < 16 || !isElf(ident)) throw invalidElf('it lacks the ELF magic');
  const bits = ident[4] === 2 ? 64 : ident[4] === 1 ? 32 : undefined;
  const isLittle = ident[5] === 1;
  if (bits === undefined || (!isLittle && ident[5] !== 2))
    throw invalidElf('its class or byte order is unknown');
  const reader = new Reader(file, bits, isLittle);
  const head = await reader.table(0, 1, bits === 64 ? 64 : 52, 'header');
  const segments = await reader.segments(head);
  return {
    bits,
    type: TYPES[head.half(0, 16)] ?? 'other',
    machine: head.half(0, 18),
    segments,
    sections: await reader.sections(head),
    dynamic: await reader.dynamic(segments),
  };
}

/** Returns the file offset of a memory address, or undefined if no segment of the file has it. */
export function offsetOf({ segments }: ElfFile, address: number): number | undefined {
  const segment = segments.find(
    (one) =>
      one.type === SegmentType.load &&
      address >= one.address &&
      address < one.address + one.fileSize,
  );
  return segment === undefined ? undefined : segment.offset + (address - segment.address);
}

/** A table with rows of equal length. */
class Table {
  readonly #view: DataView;
  readonly #rowSize: number;
  readonly #isLittle: boolean;
  readonly #wide: boolean;

  constructor(bytes: Buffer, rowSize: number, isLittle: boolean, wide: boolean) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#rowSize = rowSize;
    this.#isLittle = isLittle;
    this.#wide = wide;
  }

  half(row: number, at: number): number {
    return this.#view.getUint16(row * this.#rowSize + at, this.#isLittle);
  }

  word(row: number, at: number): number {
    return this.#view.getUint32(row * this.#rowSize + at, this.#isLittle);
  }

  /** Reads a word of the file's class. Values too large for a double exceed any file anyway. */
  native(row: number, at: number): number {
    if (!this.#wide) return this.word(row, at);
    return Number(this.#view.getBigUint64(row * this.#rowSize + at, this.#isLittle));
  }
}

class Reader {
  readonly #file: RandomAccess;
  readonly #wide: boolean;
  readonly #isLittle: boolean;

  constructor(file: RandomAccess, bits: 32 | 64, isLittle: boolean) {
    this.#file = file;
    this.#wide = bits === 64;
    this.#isLittle = isLittle;
  }

  async table(offset: number, rows: number, rowSize: number, what: string): Promise<Table> {
    const size = rows * rowSize;
    if (offset + size > this.#file.size) throw invalidElf(`its ${what} exceeds the file`);
    const bytes = await this.#file.read(offset, size);
    if (bytes.length < size) throw invalidElf(`its ${what} exceeds the file`);
    return new Table(bytes, rowSize, this.#isLittle, this.#wide);
  }

  async segments(head: Table): Promise<readonly Segment[]> {
    const wide = this.#wide;
    const rows = head.half(0, wide ? 56 : 44);
    const rowSize = wide ? 56 : 32;
    if (rows === 0) return [];
    if (rows > MAX_HEADERS || head.half(0, wide ? 54 : 42) !== rowSize)
      throw invalidElf('its program headers have an unknown size');
    const table = await this.table(head.native(0, wide ? 32 : 28), rows, rowSize, 'program header');
    return Array.from({ length: rows }, (_, row) => ({
      type: table.word(row, 0),
      flags: table.word(row, wide ? 4 : 24),
      offset: table.native(row, wide ? 8 : 4),
      address: table.native(row, wide ? 16 : 8),
      fileSize: table.native(row, wide ? 32 : 16),
    }));
  }

  async sections(head: Table): Promise<readonly Section[]> {
    const wide = this.#wide;
    const start = head.native(0, wide ? 40 : 32);
    const rows = head.half(0, wide ? 60 : 48);
    const rowSize = wide ? 64 : 40;
    if (start === 0 || rows === 0) return [];
    if (rows > MAX_HEADERS || head.half(0, wide ? 58 : 46) !== rowSize)
      throw invalidElf('its section headers have an unknown size');
    const table = await this.table(start, rows, rowSize, 'section headers');
    const section = (row: number) => ({
      type: table.word(row, 4),
      offset: table.native(row, wide ? 24 : 16),
      size: table.native(row, wide ? 32 : 20),
    });
    const namesAt = head.half(0, wide ? 62 : 50);
    const names = namesAt < rows ? section(namesAt) : undefined;
    if (names === undefined || names.size > MAX_NAMES_BYTES)
      throw invalidElf('its section names are missing');
    const text = await this.#file.read(names.offset, names.size);
    return Array.from({ length: rows }, (_, row) => {
      const at = table.word(row, 0);
      const end = text.indexOf(0, at);
      return { name: text.toString('latin1', at, end === -1 ? at : end), ...section(row) };
    });
  }

  async dynamic(segments: readonly Segment[]): Promise<ReadonlyMap<number, readonly number[]>> {
    const found = new Map<number, number[]>();
    const segment = segments.find(({ type }) => type === SegmentType.dynamic);
    if (segment === undefined) return found;
    const rowSize = this.#wide ? 16 : 8;
    const rows = Math.floor(segment.fileSize / rowSize);
    if (segment.fileSize > MAX_DYNAMIC_BYTES) throw invalidElf('its dynamic section is too long');
    const table = await this.table(segment.offset, rows, rowSize, 'dynamic section');
    for (let row = 0; row < rows; row += 1) {
      const tag = table.native(row, 0);
      if (tag === 0) break;
      const value = table.native(row, rowSize / 2);
      const values = found.get(tag);
      if (values === undefined) found.set(tag, [value]);
      else values.push(value);
    }
    return found;
  }
}

function invalidElf(why: string): LktError {
  return new LktError('ARCHIVE_INVALID', `is not a valid ELF file: ${why}`);
}
