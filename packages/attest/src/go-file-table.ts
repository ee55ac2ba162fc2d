export type Endian = 'big' | 'little';

/** Magic numbers of the tables in Go 1.18 and 1.19, and since Go 1.20. */
const MAGICS = [0xff_ff_ff_f0, 0xff_ff_ff_f1];
/** Bytes of magic, padding, instruction quantum and word size; eight words follow. */
const FIXED = 8;
const WORDS = 8;
const HEADER = FIXED + WORDS * 8;
/** Bytes. Longer tables are not read: that of Docker's daemon has 252 KiB. */
const MAX_TABLE_BYTES = 4 * 2 ** 20;
/** Bytes, as Linux's PATH_MAX. */
const MAX_PATH_BYTES = 4096;
/** A program has one table, unless it contains other programs. */
const MAX_TABLES = 16;

/**
 * Finds the file table of a Go program that arrives in chunks: the names of all source files with a
 * function in the program. The runtime needs it for stack traces, so stripped programs have it.
 *
 * Reads the formats of Go 1.18 and later, in either byte order, with words of 4 or 8 bytes. Ignores
 * what does not parse.
 * @see https://go.dev/src/debug/gosym/pclntab.go
 * @example
 * ```ts
 * const scanner = new GoFileTableScanner('little');
 * for await (const chunk of file) scanner.push(chunk);
 * const { directories } = scanner;
 * ```
 */
export class GoFileTableScanner {
  readonly #endian: Endian;
  readonly #magics: readonly Buffer[];
  readonly #directories = new Set<string>();
  /** Number of headers found. */
  #found = 0;
  /** Tables that have not arrived completely. */
  #open: readonly FileTable[] = [];
  /** The last bytes seen, in which a header may begin. */
  #tail: Buffer = Buffer.alloc(0);

  constructor(endian: Endian) {
    this.#endian = endian;
    this.#magics = MAGICS.map((magic) => magicBytes(magic, endian));
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (const table of this.#open) table.push(bytes);
    const border = Buffer.concat([this.#tail, bytes.subarray(0, HEADER - 1)]);
    this.#scan(border, bytes.subarray(HEADER - 1));
    this.#scan(bytes);
    const end = bytes.length < HEADER ? border : bytes;
    this.#tail = Buffer.from(end.subarray(-(HEADER - 1)));
    for (const table of this.#open)
      for (const directory of table.directories ?? []) this.#directories.add(directory);
    this.#open = this.#open.filter(({ directories }) => directories === undefined);
  }

  /**
   * The directories of the source files, sorted. Each is a Go package: its import path in a program
   * built with `-trimpath`. Files without a directory are the compiler's own.
   */
  get directories(): readonly string[] {
    return [...this.#directories].toSorted();
  }

  /** Opens the tables whose headers are in `bytes`; `rest` follows it. */
  #scan(bytes: Buffer, rest?: Buffer): void {
    for (const magic of this.#magics) {
      for (let at = bytes.indexOf(magic); at !== -1; at = bytes.indexOf(magic, at + 1)) {
        if (at + HEADER > bytes.length || this.#found === MAX_TABLES) break;
        const place = placeOf(bytes.subarray(at, at + HEADER), this.#endian);
        if (place === undefined) continue;
        this.#found += 1;
        const table = new FileTable(place);
        table.push(bytes.subarray(at));
        if (rest !== undefined) table.push(rest);
        this.#open = [...this.#open, table];
      }
    }
  }
}

/** Returns the magic and the two zero bytes after it. */
function magicBytes(magic: number, endian: Endian): Buffer {
  const bytes = Buffer.alloc(6);
  if (endian === 'little') bytes.writeUInt32LE(magic);
  else bytes.writeUInt32BE(magic);
  return bytes;
}

/** Where the file table is, in bytes after the magic, and its number of files. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly files: number;
}

/**
 * Parses a header (`pcHeader` of runtime/symtab.go).
 * @returns undefined if the bytes are not a header, or the table is too long
 */
function placeOf(header: Buffer, endian: Endian): Place | undefined {
  const size = header[7];
  if (![1, 2, 4].includes(header[6] ?? 0) || (size !== 4 && size !== 8)) return undefined;
  const words = Array.from({ length: WORDS }, (_, index) =>
    wordAt(header, FIXED + index * size, size, endian),
  );
  const [, files = 0, , names = 0, units = 0, start = 0, end = 0, functions = 0] = words;
  const offsets = [FIXED + WORDS * size, names, units, start, end, functions];
  const isOrdered = offsets.every((offset, index) => offset >= (offsets[index - 1] ?? 0));
  const length = end - start;
  if (!isOrdered || !Number.isSafeInteger(end) || length > MAX_TABLE_BYTES) return undefined;
  return files > 0 && files <= length ? { start, end, files } : undefined;
}

function wordAt(bytes: Buffer, at: number, size: 4 | 8, endian: Endian): number {
  if (size === 4) return endian === 'little' ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  return Number(endian === 'little' ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
}

/** Collects the bytes of one file table. */
class FileTable {
  readonly #place: Place;
  readonly #pieces: Buffer[] = [];
  #position = 0;
  /** Undefined until the whole table has arrived. */
  directories: readonly string[] | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  push(bytes: Buffer): void {
    if (this.directories !== undefined) return;
    const { start, end, files } = this.#place;
    const [from, to] = [start, end].map((offset) => Math.max(0, offset - this.#position));
    this.#position += bytes.length;
    // A copy: the caller may reuse its buffer.
    this.#pieces.push(Buffer.from(bytes.subarray(from, to)));
    if (this.#position >= end) this.directories = parseTable(Buffer.concat(this.#pieces), files);
  }
}

/**
 * Returns the directories of a table's files. Each name ends with a zero byte.
 * @returns no directories if a name is missing, empty, too long or has control characters
 */
function parseTable(table: Buffer, files: number): readonly string[] {
  const directories = new Set<string>();
  let start = 0;
  for (let count = 0; count < files; count += 1) {
    const end = table.indexOf(0, start);
    if (end <= start || end - start > MAX_PATH_BYTES) return [];
    if (table.subarray(start, end).some((byte) => byte < 0x20 || byte === 0x7f)) return [];
    const name = table.toString('utf8', start, end);
    const slash = name.lastIndexOf('/');
    if (slash > 0) directories.add(name.slice(0, slash));
    start = end + 1;
  }
  return [...directories];
}
