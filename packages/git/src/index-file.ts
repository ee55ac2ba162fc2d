import { closeSync, fstatSync, openSync, readFileSync, type BigIntStats } from 'node:fs';

/** A file that the index has. */
export interface IndexEntry {
  /** One char per byte, from the top of the work tree. */
  readonly path: string;
  /** As git writes it: `100644`. */
  readonly mode: string;
  readonly id: string;
  /** Whether the file is still what was added, as far as its times, size and owner can say; `false` if they cannot. */
  matches(stats: BigIntStats): boolean;
}

/** A larger one is left to git, which reads it with several threads. */
const LIMIT = 8 * 1024 * 1024;

const HEADER = 12;
/** Up to and with the flags, of SHA-1 repositories. */
const FIXED = 62;

/**
 * The entries of an index that `wanted` takes, by their paths, in git's order. undefined for an index that needs more
 * understanding than that: of version 4, split, sparse, or with entries that are in conflict or marked not to be looked
 * at.
 * @see https://git-scm.com/docs/gitformat-index
 */
export function readIndex(
  file: string,
  wanted: (path: string) => boolean,
): readonly IndexEntry[] | undefined {
  const { bytes, stats } = readWhole(file);
  if (bytes.length > LIMIT || bytes.toString('latin1', 0, 4) !== 'DIRC') return undefined;
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) return undefined;
  const found: IndexEntry[] = [];
  let at = HEADER;
  for (let left = bytes.readUInt32BE(8); left > 0; left -= 1) {
    const flags = bytes.readUInt16BE(at + FIXED - 2);
    const begin = at + FIXED + ((flags & EXTENDED) === 0 ? 0 : 2);
    const end = bytes.indexOf(0, begin);
    if (end === -1) return undefined;
    const path = bytes.toString('latin1', begin, end);
    if (wanted(path)) {
      if ((flags & ANY_FLAG) !== 0) return undefined;
      found.push(new Entry(bytes.subarray(at, at + FIXED), path, stats));
    }
    // With one to eight NULs, to a length that is a multiple of eight.
    at += (end - at + 8) & ~7;
  }
  return hasOnlyOptional(bytes, at) ? found : undefined;
}

const EXTENDED = 0x4000;
/** Assumed to be unchanged, extended, or a stage of a conflict. */
const ANY_FLAG = 0xf000;

function readWhole(file: string): { bytes: Buffer; stats: BigIntStats } {
  const fd = openSync(file, 'r');
  try {
    const stats = fstatSync(fd, { bigint: true });
    return { bytes: stats.size > LIMIT ? Buffer.alloc(0) : readFileSync(fd), stats };
  } finally {
    closeSync(fd);
  }
}

/** Whether all extensions from here on are of those that can be passed over: their names begin with a capital. */
function hasOnlyOptional(bytes: Buffer, from: number): boolean {
  const checksum = bytes.length - 20;
  let at = from;
  while (at + 8 <= checksum) {
    if (!/^[A-Z]/.test(bytes.toString('latin1', at, at + 4))) return false;
    at += 8 + bytes.readUInt32BE(at + 4);
  }
  return at === checksum;
}

class Entry implements IndexEntry {
  readonly #bytes: Buffer;
  readonly path: string;
  readonly #index: BigIntStats;

  constructor(bytes: Buffer, path: string, index: BigIntStats) {
    this.#bytes = bytes;
    this.path = path;
    this.#index = index;
  }

  get mode(): string {
    return this.#number(24).toString(8).padStart(6, '0');
  }

  get id(): string {
    return this.#bytes.toString('hex', 40, 60);
  }

  matches(stats: BigIntStats): boolean {
    const isSame =
      this.#time(0) === stats.ctimeNs &&
      this.#time(8) === stats.mtimeNs &&
      this.#number(20) === low(stats.ino) &&
      this.#number(28) === low(stats.uid) &&
      this.#number(32) === low(stats.gid) &&
      this.#number(36) === low(stats.size) &&
      this.mode === modeOf(stats);
    return isSame && this.#isSettled(stats);
  }

  /**
   * Whether a change after the index was written would have given the file another time. Not if it was written in the
   * same moment, which lasts as long as the filesystem's unit of time.
   * @see https://git-scm.com/docs/racy-git
   */
  #isSettled({ mtimeNs, dev }: BigIntStats): boolean {
    const { mtimeNs: written, dev: where } = this.#index;
    const isExact = mtimeNs % SECOND !== 0n && dev === where;
    return isExact ? mtimeNs < written : mtimeNs / SECOND + 2n < written / SECOND;
  }

  #number(offset: number): number {
    return this.#bytes.readUInt32BE(offset);
  }

  #time(offset: number): bigint {
    return BigInt(this.#number(offset)) * SECOND + BigInt(this.#number(offset + 4));
  }
}

const SECOND = 1_000_000_000n;

/** The index has 32 bits for each number. */
function low(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}

function modeOf(stats: BigIntStats): string | undefined {
  if (stats.isSymbolicLink()) return '120000';
  if (!stats.isFile()) return undefined;
  return (stats.mode & 0o100n) === 0n ? '100644' : '100755';
}
