import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { undefinedIf } from './errors.ts';

/**
 * Reports whether a path resolves to a device, a pipe or a socket, such as /dev/null or
 * /dev/stdout. Write output into it: a rename would replace it by a file.
 */
export async function isSpecialFile(path: string): Promise<boolean> {
  const stats = await stat(path).catch(undefinedIf('ENOENT', 'ENOTDIR', 'EACCES'));
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
}

/** Returns the kind of a file that is not a regular one, with its article: `a named pipe`. */
export function kindOfFile(stats: Stats): string {
  if (stats.isSocket()) return 'a socket';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isDirectory() ? 'a directory' : 'a device';
}
