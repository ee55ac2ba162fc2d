import { type Dirent, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Removing up to this many files takes no longer than starting another thread. */
const FEW = 64;

/**
 * Removes a directory with few files. Returns false, possibly after removing a part, if it is left.
 */
export function removeSmallTree(path: string): boolean {
  try {
    if (count(path, FEW) > FEW) return false;
    rmSync(path, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

/** Returns the number of files in a directory; stops counting above `most`. */
function count(path: string, most: number): number {
  const entries: readonly Dirent[] = readdirSync(path, { withFileTypes: true });
  let found = entries.length;
  for (const entry of entries) {
    if (found > most) break;
    if (entry.isDirectory()) found += count(join(path, entry.name), most - found);
  }
  return found;
}
