import { readFile, stat } from 'node:fs/promises';
import { isErrno, LktError } from '@lkt/core';

/** Maximum size of a JSON file in bytes: an SBOM, or a VEX document. */
const MAX_BYTES = 256 * 2 ** 20;

/**
 * Reads and parses a JSON file.
 * @param name path as the user wrote it
 * @throws NOT_FOUND, CONFIG_INVALID, IO_FAILED
 */
export async function parseJsonFile(path: string, name: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > MAX_BYTES)
      throw new LktError('CONFIG_INVALID', `${name} is larger than 256 MiB`);
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof LktError) throw cause;
    if (isErrno(cause, 'ENOENT')) throw new LktError('NOT_FOUND', `there is no file ${name}`);
    if (cause instanceof SyntaxError)
      throw new LktError('CONFIG_INVALID', `${name} is not JSON`, { cause });
    throw new LktError('IO_FAILED', `cannot read ${name}`, { cause });
  }
}
