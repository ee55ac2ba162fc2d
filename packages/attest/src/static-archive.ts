/** Bytes of a function that identify it. */
export const PATTERN_BYTES = 40;
/** Different values among them. Padding and simple functions are alike in many programs. */
const MIN_DISTINCT = 16;
/** Bytes before and after a relocation that the linker may change, by relaxing instructions. */
const RELAXED_BEFORE = 4;
const RELAXED_AFTER = 12;

const ARCHIVE = '!<arch>\n';
const MEMBER_HEADER = 60;

const SECTION_HEADER = 64;
const SYMBOL = 24;
const RELOCATION = 24;
const TYPE_PROGRAM = 1;
const TYPE_SYMBOLS = 2;
const TYPE_RELOCATIONS = 4;
const FLAG_EXECUTABLE = 4;
const FUNCTION = 2;

/**
 * Returns machine code of the functions in a static library (`libz.a`): for each function, some
 * bytes that no relocation changes, as latin1 text. The linker copies these bytes unchanged into a
 * program. Skips functions without enough such bytes, malformed members, and members that are not
 * 64-bit little-endian ELF.
 * @see System V ABI, "Object Files"
 */
export function archivePatterns(archive: Buffer): ReadonlySet<string> {
  const patterns = new Set<string>();
  if (archive.toString('latin1', 0, ARCHIVE.length) !== ARCHIVE) return patterns;
  for (let at = ARCHIVE.length; at + MEMBER_HEADER <= archive.length;) {
    const size = Number(archive.toString('latin1', at + 48, at + 58).trim());
    const start = at + MEMBER_HEADER;
    if (!Number.isSafeInteger(size) || size < 0 || start + size > archive.length) break;
    for (const pattern of objectPatterns(archive.subarray(start, start + size)))
      patterns.add(pattern);
    at = start + size + (size % 2);
  }
  return patterns;
}

interface Section {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  /** Of relocations: index of the section that they change. */
  readonly info: number;
}

function objectPatterns(object: Buffer): readonly string[] {
  const sections = sectionsOf(object);
  const relocations = new Map<number, number[]>();
  for (const { type, offset, size, info } of sections) {
    if (type !== TYPE_RELOCATIONS) continue;
    const places = relocations.get(info) ?? [];
    for (let at = offset; at + RELOCATION <= offset + size; at += RELOCATION)
      places.push(Number(object.readBigUInt64LE(at)));
    relocations.set(info, places);
  }
  for (const places of relocations.values()) places.sort((a, b) => a - b);
  return sections.flatMap(({ type, offset, size }) =>
    type === TYPE_SYMBOLS
      ? [...symbolPatterns(object.subarray(offset, offset + size), object, sections, relocations)]
      : [],
  );
}

function sectionsOf(object: Buffer): readonly Section[] {
  const isElf64 = object.length >= SECTION_HEADER && object.readUInt32BE(0) === 0x7f454c46;
  if (!isElf64 || object[4] !== 2 || object[5] !== 1 || object.readUInt16LE(16) !== 1) return [];
  const table = Number(object.readBigUInt64LE(40));
  const count = object.readUInt16LE(60);
  if (object.readUInt16LE(58) !== SECTION_HEADER) return [];
  if (table + count * SECTION_HEADER > object.length) return [];
  const sections = Array.from({ length: count }, (_, index) => {
    const header = object.subarray(table + index * SECTION_HEADER);
    return {
      type: header.readUInt32LE(4),
      flags: Number(header.readBigUInt64LE(8) & 0xffffn),
      offset: Number(header.readBigUInt64LE(24)),
      size: Number(header.readBigUInt64LE(32)),
      info: header.readUInt32LE(44),
    };
  });
  // Sections without content, such as .bss, have any size.
  const isInside = ({ offset, size }: Section): boolean => offset + size <= object.length;
  return sections.map((one) => (isInside(one) ? one : { ...one, type: 0 }));
}

function* symbolPatterns(
  symbols: Buffer,
  object: Buffer,
  sections: readonly Section[],
  relocations: ReadonlyMap<number, readonly number[]>,
): Generator<string> {
  for (let entry = 0; entry + SYMBOL <= symbols.length; entry += SYMBOL) {
    if (((symbols[entry + 4] ?? 0) & 15) !== FUNCTION) continue;
    const index = symbols.readUInt16LE(entry + 6);
    const section = sections[index];
    if (section?.type !== TYPE_PROGRAM || (section.flags & FLAG_EXECUTABLE) === 0) continue;
    const start = Number(symbols.readBigUInt64LE(entry + 8));
    const end = Math.min(start + Number(symbols.readBigUInt64LE(entry + 16)), section.size);
    for (const [from, until] of unchangedCode(start, end, relocations.get(index) ?? [])) {
      // The end of the run: all functions begin alike.
      const at = section.offset + until - PATTERN_BYTES;
      const pattern = object.subarray(at, at + PATTERN_BYTES);
      if (until - from < PATTERN_BYTES || new Set(pattern).size < MIN_DISTINCT) continue;
      yield pattern.toString('latin1');
      break;
    }
  }
}

/** Yields the runs of a function's code that are far from its relocations. */
function* unchangedCode(
  start: number,
  end: number,
  relocations: readonly number[],
): Generator<readonly [from: number, until: number]> {
  let from = start;
  for (let index = firstAtLeast(relocations, start); index < relocations.length; index += 1) {
    const place = relocations[index] ?? end;
    if (place >= end) break;
    yield [from, place - RELAXED_BEFORE];
    from = place + RELAXED_AFTER;
  }
  yield [from, end];
}

/** Returns the index of the first of sorted numbers that is at least `minimum`. */
function firstAtLeast(sorted: readonly number[], minimum: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < minimum) low = middle + 1;
    else high = middle;
  }
  return low;
}
