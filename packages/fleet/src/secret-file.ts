import { open } from 'node:fs/promises';
import { isErrno, LktError } from '@lkt/core';

const MAX_SECRET_BYTES = 1024;
const MAX_FILE_BYTES = 64 * 1024;

/**
 * Returns the first line of a file that only its owner may read.
 * @throws LktError NOT_FOUND, ACCESS_DENIED, CONFIG_INVALID
 */
export async function readSecret(path: string): Promise<string> {
  const [line = ''] = (await read(path, MAX_SECRET_BYTES)).split(/\r?\n/);
  if (line !== '') return line;
  throw new LktError('CONFIG_INVALID', `the first line of ${path} is empty`, {
    fix: 'write the secret into its first line',
  });
}

/**
 * Returns a file that only its owner may read, such as a key; at most 64 KiB.
 * @throws LktError NOT_FOUND, ACCESS_DENIED
 */
export async function readSecretFile(path: string): Promise<string> {
  return read(path, MAX_FILE_BYTES);
}

async function read(path: string, limit: number): Promise<string> {
  try {
    await using file = await open(path);
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0)
      throw new LktError('ACCESS_DENIED', `other users may read the secret in ${path}`, {
        fix: `run chmod 600 ${path}`,
      });
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limit));
    return buffer.subarray(0, bytesRead).toString('utf8');
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT', 'EACCES', 'ENOTDIR')) throw cause;
    throw new LktError('NOT_FOUND', `there is no file ${path}`, {
      cause,
      fix: `write the secret into it, and run chmod 600 ${path}`,
    });
  }
}
