import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { requireNoSpecialFile } from './config-files.ts';
import type { MayConvert } from './conversions.ts';
import { type IndexEntry, modeOf } from './index-file.ts';
import { objectHash, objectId } from './objects.ts';
import type { Directory } from './tree-id.ts';

/** A file as a commit would have it now. */
export interface FileNow {
  readonly mode: string;
  readonly id: string;
}

/** A comparison of files with the index. */
export interface Comparison {
  /** The files that differ, by path; undefined for a deleted file. */
  readonly changes: Map<string, FileNow | undefined>;
  /** Whether there is something that is not in the index. */
  hasUntracked: boolean;
  /** The number of bytes that may be read from files whose stats differ. */
  bytesLeft: number;
  /** Reports whether git may store a file in other bytes than its own. */
  readonly mayConvert: MayConvert;
}

/**
 * Compares a directory with the index, and adds the files that differ to the comparison. Returns
 * false if only git can tell what a commit would contain: it converts a file, or something in the
 * place of a file is neither a file, a link nor a directory.
 * @param isTop whether it is the top of the work tree
 */
export function compareDirectory(
  dir: string,
  known: Directory<IndexEntry>,
  isTop: boolean,
  comparison: Comparison,
): boolean {
  const names = readdirSync(dir, 'latin1').filter((name) => !isTop || name !== '.git');
  let present = 0;
  for (const name of names) {
    const node = known.get(name);
    if (node === undefined) {
      comparison.hasUntracked = true;
      continue;
    }
    present += 1;
    const path = `${dir}/${Buffer.from(name, 'latin1').toString()}`;
    const stats = lstatSync(path, { bigint: true });
    if (node instanceof Map === stats.isDirectory()) {
      const isKnown =
        node instanceof Map
          ? compareDirectory(path, node, false, comparison)
          : compareFile(path, node, stats, comparison);
      if (!isKnown) return false;
    } else {
      // A submodule is a directory.
      if (!(node instanceof Map) && node.mode === SUBMODULE) return false;
      addDeleted(node, comparison);
      comparison.hasUntracked = true;
    }
  }
  if (present < known.size) {
    const here = new Set(names);
    for (const [name, node] of known) if (!here.has(name)) addDeleted(node, comparison);
  }
  return true;
}

const SUBMODULE = '160000';

function addDeleted(node: Directory<IndexEntry> | IndexEntry, comparison: Comparison): void {
  if (!(node instanceof Map)) comparison.changes.set(node.path, undefined);
  else for (const child of node.values()) addDeleted(child, comparison);
}

/**
 * Compares a file with its entry in the index.
 *
 * After a clone or a checkout, the last files were written in the same tick as the index, and their
 * contents must be compared, until a command of git writes the index again. A content with the id
 * of the index is committed, whatever git's filters would make of it.
 */
export function compareFile(
  path: string,
  entry: IndexEntry,
  stats: BigIntStats,
  comparison: Comparison,
): boolean {
  if (entry.isUnchanged(stats)) return true;
  const now = readFile(path, entry.path, stats, comparison, entry.id);
  if (now === undefined) return false;
  if (now.mode === entry.mode && now.id === entry.id) return true;
  comparison.changes.set(entry.path, now);
  return true;
}

/**
 * Returns a file as a commit would have it; undefined if only git can tell.
 * @param absolute the path of the file
 * @param path the same from the top, one char per byte
 * @param committed the id of a content that git would not convert
 */
export function readFile(
  absolute: string,
  path: string,
  stats: BigIntStats,
  comparison: Pick<Comparison, 'bytesLeft' | 'mayConvert'>,
  committed?: string,
): FileNow | undefined {
  const mode = modeOf(stats);
  if (mode === undefined) requireNoSpecialFile(absolute);
  if (mode === undefined || stats.size > comparison.bytesLeft) return undefined;
  comparison.bytesLeft -= Number(stats.size);
  const { id, hasReturn } = contentOf(absolute, stats);
  if (id === undefined) return undefined;
  if (id !== committed && comparison.mayConvert(path, hasReturn)) return undefined;
  return { mode, id };
}

const CHUNK = 1024 * 1024;
const RETURN = 0x0d;

/**
 * Returns the id of the content of a file or a link, undefined if it has just changed, and whether
 * a file has a carriage return.
 */
function contentOf(
  path: string,
  stats: BigIntStats,
): { readonly id: string | undefined; readonly hasReturn: boolean } {
  if (stats.isSymbolicLink()) {
    const target = readlinkSync(path, { encoding: 'buffer' });
    return { id: objectId('sha1', 'blob', target), hasReturn: false };
  }
  const size = Number(stats.size);
  const hash = objectHash('sha1', 'blob', size);
  // The file may have become a pipe or a symlink meanwhile.
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(size + 1, CHUNK));
    let hasReturn = false;
    let done = 0;
    for (;;) {
      const length = readSync(file, buffer);
      if (length === 0) break;
      const chunk = buffer.subarray(0, length);
      hash.update(chunk);
      hasReturn ||= chunk.includes(RETURN);
      done += length;
      if (done > size) break;
    }
    return { id: done === size ? hash.digest('hex') : undefined, hasReturn };
  } finally {
    closeSync(file);
  }
}
