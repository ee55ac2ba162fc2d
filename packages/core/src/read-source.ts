import { readFileSync, statSync } from 'node:fs';
import { LktError } from './errors.ts';
import type { SourceFile } from './source.ts';
import { kindOfFile } from './special-file.ts';

/**
 * Reads a file of a checkout, such as a Dockerfile. Synchronous, because the thread pool takes ten
 * times as long for so few bytes. Does not wait for a program that writes into a named pipe.
 *
 * @param shown the path as messages show it
 * @throws LktError IO_FAILED for a pipe, a socket or a device; Node's error, such as ENOENT or
 * EISDIR, if the file cannot be read
 * @example
 * const { text } = readSource(join(dir, 'Dockerfile'), 'pkg/sshd/Dockerfile');
 */
export function readSource(path: string, shown: string): SourceFile {
  const stats = statSync(path);
  if (!stats.isFile() && !stats.isDirectory())
    throw new LktError('IO_FAILED', `${shown} is ${kindOfFile(stats)}`, {
      fix: 'put a file in its place',
    });
  return { path: shown, text: readFileSync(path, 'utf8') };
}
