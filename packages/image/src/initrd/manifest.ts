import type { RawPath } from '@lkt/oci';
import type { Root } from '../tree/merge.ts';
import type { TreeEntry } from '../tree/part.ts';
import { isBoot } from './segment.ts';

/** Path of the manifest, which lists all paths but its own. */
export const MANIFEST_PATH: RawPath = 'usr/share/lkt/manifest';

const LETTERS: Readonly<Record<TreeEntry['type'], string>> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
};

/**
 * Returns the manifest, with which init verifies the unpacked files. A line per path, sorted by
 * path: type, octal mode, owner, group, size, escaped path.
 */
export function manifestOf(root: Root): string {
  const lines: string[] = [];
  for (const { path, type, mode, uid, gid, size, link } of root.entries.values()) {
    if (isBoot(path) || path === MANIFEST_PATH) continue;
    const bytes = type === 'symlink' ? (link?.length ?? 0) : size;
    const octal = mode.toString(8).padStart(4, '0');
    lines.push(`${LETTERS[type]} ${octal} ${uid} ${gid} ${bytes} ${escapedPath(path)}\n`);
  }
  return `lkt-manifest 1 ${lines.length}\n${lines.join('')}`;
}

/** Escapes bytes other than printable ASCII, blanks and `%` as `%XX`. */
export function escapedPath(path: RawPath): string {
  return path.replaceAll(
    /[^!-$&-~]/g,
    (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
