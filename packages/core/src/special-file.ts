import { stat } from 'node:fs/promises';
import { undefinedIf } from './errors.ts';

/**
 * Reports whether a path leads to a device, a pipe or a socket, such as /dev/null or /dev/stdout.
 * Output is written into it: a rename would replace it by a file.
 */
export async function isSpecialFile(path: string): Promise<boolean> {
  const stats = await stat(path).catch(undefinedIf('ENOENT', 'ENOTDIR', 'EACCES'));
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
}
