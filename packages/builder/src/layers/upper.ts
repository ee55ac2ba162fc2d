import {
  chmodSync,
  closeSync,
  lchownSync,
  lstatSync,
  openSync,
  readSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import {
  attributesAt,
  isWhiteout,
  joinRaw,
  linkAt,
  mtimeOf,
  namesAt,
  OVERLAY_PREFIX,
  pathAt,
  statAt,
  typeOf,
} from '../system/raw-fs.ts';
import {
  getAttribute,
  listAttributes,
  makeNode,
  removeAttribute,
} from '../system/special-files.ts';
import { setTime } from '../system/set-time.ts';

/**
 * Turns the upper directory of an overlay mount, after its use, into a layer that holds exactly the
 * changes, by the rules of BuildKit's differ:
 *
 * - a copied-up file that is unchanged (mode, owner, attributes, time, content) is removed; an
 *   unchanged directory stays only as a parent;
 * - an opaque directory becomes a plain one with a whiteout for each name of the lower directory
 *   that it lacks;
 * - whiteouts of nothing, sockets and the attributes of overlayfs are removed;
 * - times are whole seconds, and not after SOURCE_DATE_EPOCH.
 *
 * @param lower the file system below, mounted or a directory without whiteouts.
 */
export function diffUpper(upper: string, lower: string): void {
  const root = lstatSync(lower);
  settleDirectory({ upper, lower }, '', root, false);
  // A layer has no entry for the root itself.
  lchownSync(upper, root.uid, root.gid);
  chmodSync(upper, root.mode & 0o7777);
  clampTime(upper, '', lstatSync(upper));
}

interface Pair {
  readonly upper: string;
  readonly lower: string;
}

/**
 * Reports whether anything is left in the directory. `below`: the lower directory, if there is one.
 */
function settleDirectory(
  pair: Pair,
  path: RawPath,
  below: Stats | undefined,
  inOpaque: boolean,
): boolean {
  const { upper, lower } = pair;
  const stats = lstatSync(pathAt(upper, path));
  const names = namesAt(upper, path);
  const opaque = inOpaque || isOpaque(upper, path);
  let kept = false;
  for (const name of names) {
    const child = joinRaw(path, name);
    if (settleChild(pair, child, below === undefined ? undefined : statAt(lower, child), opaque))
      kept = true;
  }
  if (opaque && below !== undefined) {
    const present = new Set(names);
    for (const name of namesAt(lower, path)) {
      if (present.has(name)) continue;
      makeNode(pathAt(upper, joinRaw(path, name)), 'char', 0);
      kept = true;
    }
  }
  stripAttributes(upper, path);
  clampTime(upper, path, stats);
  return kept;
}

function settleChild(
  pair: Pair,
  path: RawPath,
  below: Stats | undefined,
  inOpaque: boolean,
): boolean {
  const { upper } = pair;
  const file = pathAt(upper, path);
  const stats = lstatSync(file);
  if (stats.isDirectory()) {
    const lowerDirectory = below?.isDirectory() === true ? below : undefined;
    const kept = settleDirectory(
      pair,
      path,
      lowerDirectory,
      inOpaque && lowerDirectory !== undefined,
    );
    if (kept || lowerDirectory === undefined || !hasSameMetadata(pair, path, lowerDirectory, stats))
      return true;
    rmdirSync(file);
    return false;
  }
  const isNothing = isWhiteout(stats) ? below === undefined : typeOf(stats) === undefined;
  if (isNothing || (below !== undefined && isSame(pair, path, below, stats))) {
    unlinkSync(file);
    return false;
  }
  if (isWhiteout(stats)) return true;
  stripAttributes(upper, path);
  if (!hasClampedTime(stats)) clampTime(upper, path, stats);
  return true;
}

function isOpaque(upper: string, path: RawPath): boolean {
  const file = pathAt(upper, path);
  const name = `${OVERLAY_PREFIX}opaque`;
  // "x" marks a directory with xattr whiteouts, which lkt never creates.
  return listAttributes(file).includes(name) && getAttribute(file, name).toString() === 'y';
}

function stripAttributes(upper: string, path: RawPath): void {
  const file = pathAt(upper, path);
  for (const name of listAttributes(file))
    if (name.startsWith(OVERLAY_PREFIX)) removeAttribute(file, name);
}

/** Sets a file's time to that of `stats`, clamped as in all layers. */
function clampTime(upper: string, path: RawPath, stats: Stats): void {
  const time = Math.min(mtimeOf(stats), SOURCE_DATE_EPOCH);
  setTime(pathAt(upper, path), time);
}

/** Reports whether a file's time is what `clampTime` sets, as COPY sets it. */
function hasClampedTime({ mtimeMs }: Stats): boolean {
  return mtimeMs % 1000 === 0 && mtimeMs <= SOURCE_DATE_EPOCH * 1000;
}

function hasSameMetadata({ upper, lower }: Pair, path: RawPath, a: Stats, b: Stats): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.rdev === b.rdev &&
    sameAttributes(attributesAt(lower, path), attributesAt(upper, path))
  );
}

function isSame(pair: Pair, path: RawPath, below: Stats, stats: Stats): boolean {
  if (isWhiteout(stats)) return false;
  if (below.size !== stats.size || !hasSameMetadata(pair, path, below, stats)) return false;
  const files: [Buffer, Buffer] = [pathAt(pair.lower, path), pathAt(pair.upper, path)];
  const [a, b] = files.map((file) => lstatSync(file, { bigint: true }).mtimeNs);
  if (a !== b) return false;
  if (stats.isSymbolicLink()) return linkAt(pair.lower, path) === linkAt(pair.upper, path);
  return !stats.isFile() || sameContent(...files);
}

function sameAttributes(
  a: ReadonlyMap<string, Uint8Array> | undefined,
  b: ReadonlyMap<string, Uint8Array> | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.size !== b.size) return false;
  return [...a].every(([name, value]) => {
    const other = b.get(name);
    return other !== undefined && Buffer.compare(value, other) === 0;
  });
}

const CHUNK = 256 * 1024;

function sameContent(a: Buffer, b: Buffer): boolean {
  const files = [openSync(a, 'r'), openSync(b, 'r')] as const;
  try {
    const chunks = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)] as const;
    for (;;) {
      const length = fill(files[0], chunks[0]);
      if (fill(files[1], chunks[1]) !== length) return false;
      if (length === 0) return true;
      if (chunks[0].compare(chunks[1], 0, length, 0, length) !== 0) return false;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

function fill(file: number, chunk: Buffer): number {
  let length = 0;
  for (;;) {
    const read = readSync(file, chunk, length, chunk.length - length, null);
    length += read;
    if (read === 0 || length === chunk.length) return length;
  }
}
