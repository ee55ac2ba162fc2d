import {
  type BigIntStats,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
} from 'node:fs';

/** Maximum size of an index read here; git reads a larger one faster, with several threads. */
const MAX_INDEX_BYTES = 8 * 1024 * 1024;

const HEADER_SIZE = 12;
/** Size of an entry up to and including the flags, in a SHA-1 repository. */
const ENTRY_SIZE = 62;

/** The content of an index. */
export interface Index {
  /** The selected files, in git's order. */
  readonly entries: readonly IndexEntry[];
}

/**
 * Returns the content of an index, with the entries that `wanted` selects by path; an empty one
 * before the first `git add`. Returns undefined for an index of version 4, a split or sparse index,
 * and for entries with conflicts or flags such as assume-unchanged. Ignores the tree ids in the
 * extension `TREE`: nothing in the index proves them, and its author may be hostile.
 * @see https://git-scm.com/docs/gitformat-index
 */
export function readIndex(file: string, wanted: (path: string) => boolean): Index | undefined {
  if (!existsSync(file)) return { entries: [] };
  const { bytes, stats } = readWhole(file);
  if (bytes.length > MAX_INDEX_BYTES || bytes.toString('latin1', 0, 4) !== 'DIRC') return undefined;
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) return undefined;
  const found: IndexEntry[] = [];
  let at = HEADER_SIZE;
  for (let left = bytes.readUInt32BE(8); left > 0; left -= 1) {
    const flags = bytes.readUInt16BE(at + ENTRY_SIZE - 2);
    const begin = at + ENTRY_SIZE + ((flags & EXTENDED) === 0 ? 0 : 2);
    const length = flags & LENGTH;
    const end = length < LENGTH ? begin + length : bytes.indexOf(0, begin);
    if (bytes[end] !== 0) return undefined;
    const path = bytes.toString('latin1', begin, end);
    if (wanted(path)) {
      if ((flags & ANY_FLAG) !== 0) return undefined;
      found.push(new IndexEntry(bytes.subarray(at, at + ENTRY_SIZE), path, stats));
    }
    // One to eight NULs pad an entry to a multiple of eight bytes.
    at += (end - at + 8) & ~7;
  }
  return hasOptionalExtensions(bytes, at) ? { entries: found } : undefined;
}

/** Bits for the length of the path; all are set for a longer one. */
const LENGTH = 0xfff;
const EXTENDED = 0x4000;
/** Flags for assume-unchanged, extended, and the stage of a conflict. */
const ANY_FLAG = 0xf000;

function readWhole(file: string): { bytes: Buffer; stats: BigIntStats } {
  const fd = openSync(file, 'r');
  try {
    const stats = fstatSync(fd, { bigint: true });
    return { bytes: stats.size > MAX_INDEX_BYTES ? Buffer.alloc(0) : readFileSync(fd), stats };
  } finally {
    closeSync(fd);
  }
}

/** Reports whether the extensions from here on are complete, and a reader may ignore each. */
function hasOptionalExtensions(bytes: Buffer, from: number): boolean {
  const checksum = bytes.length - CHECKSUM_SIZE;
  let at = from;
  while (at + 8 <= checksum) {
    const name = bytes.toString('latin1', at, at + 4);
    // The names of optional extensions begin with a capital letter.
    if (!/^[A-Z]/.test(name)) return false;
    at += 8 + bytes.readUInt32BE(at + 4);
  }
  return at === checksum;
}

/** Size of the checksum at the end, which is as long as an object id. */
const CHECKSUM_SIZE = 20;

/** A file in the index. */
export class IndexEntry {
  readonly #bytes: Buffer;
  /** One char per byte, from the top of the work tree. */
  readonly path: string;
  readonly #index: BigIntStats;

  constructor(bytes: Buffer, path: string, index: BigIntStats) {
    this.#bytes = bytes;
    this.path = path;
    this.#index = index;
  }

  /** In octal with leading zeros: `100644`. */
  get mode(): string {
    return this.#number(24).toString(8).padStart(6, '0');
  }

  get id(): string {
    return this.#bytes.toString('hex', 40, 60);
  }

  /** Reports whether a file is that which was added, as far as its stats can tell. */
  isUnchanged(stats: BigIntStats): boolean {
    return this.#matches(stats) && this.#isSettled(stats);
  }

  /**
   * Reports whether times, size, owner and mode of a file are those that it had when it was added.
   */
  #matches(stats: BigIntStats): boolean {
    return (
      this.#time(0) === stats.ctimeNs &&
      this.#time(8) === stats.mtimeNs &&
      this.#number(20) === low32(stats.ino) &&
      this.#number(28) === low32(stats.uid) &&
      this.#number(32) === low32(stats.gid) &&
      this.#number(36) === low32(stats.size) &&
      this.mode === modeOf(stats)
    );
  }

  /**
   * Reports whether a change after the index was written would have changed the file's time. It
   * would not within the same tick of the file system's clock.
   * @see https://git-scm.com/docs/racy-git
   */
  #isSettled({ mtimeNs, dev }: BigIntStats): boolean {
    const { mtimeNs: written, dev: where } = this.#index;
    const isExact = mtimeNs % SECOND_NS !== 0n && dev === where;
    return isExact ? mtimeNs < written : mtimeNs / SECOND_NS + 2n < written / SECOND_NS;
  }

  #number(offset: number): number {
    return this.#bytes.readUInt32BE(offset);
  }

  #time(offset: number): bigint {
    return BigInt(this.#number(offset)) * SECOND_NS + BigInt(this.#number(offset + 4));
  }
}

const SECOND_NS = 1_000_000_000n;

/** Returns the low 32 bits, which the index stores. */
function low32(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}

/** Returns the mode that git stores for a file or link; undefined for anything else. */
export function modeOf(stats: BigIntStats): string | undefined {
  if (stats.isSymbolicLink()) return '120000';
  if (!stats.isFile()) return undefined;
  return (stats.mode & 0o100n) === 0n ? '100644' : '100755';
}
