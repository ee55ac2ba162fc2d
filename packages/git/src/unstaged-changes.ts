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
import type { MayConvert } from './conversions.ts';
import type { IndexEntry } from './index-file.ts';
import { objectHash, objectId } from './objects.ts';
import type { Directory } from './tree-id.ts';

/** A comparison of files with the index. */
export interface Comparison {
  /** The files that differ: the id of the content by path, undefined for a deleted file. */
  readonly changes: Map<string, string | undefined>;
  /** The number of bytes that may be read from files whose stats differ. */
  bytesLeft: number;
  /** Reports whether git may store a file in other bytes than its own. */
  readonly mayConvert: MayConvert;
}

/**
 * Compares a directory with the index, and adds the files that differ to the comparison. Returns
 * false if only git can tell what a commit would contain: something is not in the index, has
 * another type or mode, or is converted by git.
 * @param isTop whether it is the top of the work tree
 */
export function compareDirectory(
  dir: string,
  known: Directory<IndexEntry>,
  isTop: boolean,
  comparison: Comparison,
): boolean {
  const names = readdirSync(dir, 'latin1').filter((name) => !isTop || name !== '.git');
  for (const name of names) {
    const node = known.get(name);
    if (node === undefined) return false;
    const path = `${dir}/${Buffer.from(name, 'latin1').toString()}`;
    const stats = lstatSync(path, { bigint: true });
    const isKnown =
      node instanceof Map
        ? stats.isDirectory() && compareDirectory(path, node, false, comparison)
        : compareFile(path, node, stats, comparison);
    if (!isKnown) return false;
  }
  if (names.length < known.size) {
    const present = new Set(names);
    for (const [name, node] of known) if (!present.has(name)) addDeleted(node, comparison);
  }
  return true;
}

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
  if (!entry.hasModeOf(stats) || stats.size > comparison.bytesLeft) return false;
  comparison.bytesLeft -= Number(stats.size);
  const { id, hasReturn } = contentOf(path, stats);
  if (id === entry.id) return true;
  // Git may convert line ends.
  if (id === undefined || hasReturn || comparison.mayConvert(entry.path)) return false;
  comparison.changes.set(entry.path, id);
  return true;
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
