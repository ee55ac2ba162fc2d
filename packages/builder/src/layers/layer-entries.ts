import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { LktError } from '@lkt/core';
import { type EntryToWrite, fromRaw, type RawPath } from '@lkt/oci';
import {
  attributesAt,
  deviceNumbers,
  isWhiteout,
  joinRaw,
  linkAt,
  mtimeOf,
  namesAt,
  pathAt,
  statAt,
  typeOf,
} from '../system/raw-fs.ts';
import { readWhole } from '../system/read-whole.ts';

/** Files up to this size are read at once. */
const SMALL = 256 * 1024;
/**
 * Files up to this size are read synchronously: starting a stream takes longer than reading them.
 */
const MEDIUM = 4 * 1024 * 1024;

/**
 * Yields the entries of a layer's archive from its directory: names in byte order in each
 * directory, a directory before its children, without the root. Whiteouts have no mode and time 0,
 * as BuildKit writes them. The first name of a file is the file, later ones are hard links.
 * @throws LktError BUILD_FAILED for the name of a whiteout
 */
export function* layerEntries(layer: string): Generator<EntryToWrite> {
  yield* entriesBelow(layer, '', new Map());
}

function* entriesBelow(
  layer: string,
  directory: RawPath,
  inodes: Map<number, RawPath>,
): Generator<EntryToWrite> {
  for (const name of namesAt(layer, directory)) {
    const path = joinRaw(directory, name);
    const stats = statAt(layer, path);
    if (stats === undefined) throw new Error(`${path} left a layer while it was read`);
    if (isWhiteout(stats)) {
      yield { ...WHITEOUT, path: joinRaw(directory, `.wh.${name}`) };
      continue;
    }
    if (name.startsWith('.wh.')) throw whiteoutError(path);
    const type = typeOf(stats);
    if (type === undefined) throw new Error(`${path} in a layer is a socket`);
    const { uid, gid } = stats;
    const entry = {
      path,
      type,
      mode: stats.mode & 0o7777,
      uid,
      gid,
      mtime: mtimeOf(stats),
      size: 0,
    };
    if (type !== 'directory' && stats.nlink > 1) {
      const link = inodes.get(stats.ino);
      if (link !== undefined) {
        yield { ...entry, type: 'hardlink', link };
        continue;
      }
      inodes.set(stats.ino, path);
    }
    const xattrs = attributesAt(layer, path);
    yield {
      ...entry,
      xattrs,
      ...(type === 'file' ? { size: stats.size, content: contentOf(layer, path, stats.size) } : {}),
      ...(type === 'symlink' ? { link: linkAt(layer, path) } : {}),
      ...(type === 'char' || type === 'block' ? deviceNumbers(stats.rdev) : {}),
    };
    if (type === 'directory') yield* entriesBelow(layer, path, inodes);
  }
}

/** A layer with such a name would delete another file where it is unpacked. */
function whiteoutError(path: RawPath): LktError {
  const message = `no layer can contain /${fromRaw(path)}: the name means a deleted file`;
  return new LktError('BUILD_FAILED', message, {
    fix: 'rename it, remove it in the same step, or leave it out with .dockerignore',
  });
}

const WHITEOUT = { type: 'file', mode: 0, uid: 0, gid: 0, mtime: 0, size: 0 } as const;

/** Returns the content of a file of the host, in chunks. */
export function contentOf(
  directory: string,
  path: RawPath,
  size: number,
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  const file = pathAt(directory, path);
  if (size <= SMALL) return size === 0 ? [] : wholeFile(file, size);
  if (size <= MEDIUM) return pieces(file);
  return createReadStream(file, { highWaterMark: SMALL }) as AsyncIterable<Uint8Array>;
}

function* wholeFile(path: Buffer, size: number): Generator<Uint8Array> {
  yield readWhole(path, size);
}

function* pieces(path: string | Buffer): Generator<Uint8Array> {
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(SMALL);
      const length = readSync(file, piece);
      if (length === 0) return;
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}
