import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isErrno, LktError, undefinedIf } from './errors.ts';

let counter = 0;

/**
 * Replaces a file atomically: a reader sees the old or the new text. Keeps the mode of the file.
 * @param mode permissions that the file gets instead, such as 0o600
 * @throws DISK_FULL
 * @throws IO_FAILED if the directory is missing or not writable
 */
export async function writeFileAtomic(path: string, text: string, mode?: number): Promise<void> {
  counter += 1;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${counter}`);
  try {
    const kept = (await stat(path).catch(undefinedIf('ENOENT')))?.mode ?? 0o666;
    const file = await open(temporary, 'wx', mode ?? kept & 0o777);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    if (isErrno(error, 'ENOSPC', 'EDQUOT'))
      throw new LktError('DISK_FULL', `no space left to write ${path}`, { cause: error });
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT'))
      throw new LktError('IO_FAILED', `cannot write ${path}`, { cause: error });
    throw error;
  }
}
