import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isErrno, LktError, undefinedIf } from './errors.ts';
import { isSpecialFile } from './special-file.ts';

let counter = 0;

/**
 * Replaces a file atomically: a reader sees the old or the new text. Keeps the mode of the file.
 * Writes where a symlink leads, and into a device or a pipe.
 * @param mode permissions that the file gets instead, such as 0o600
 * @throws DISK_FULL
 * @throws IO_FAILED if the directory is missing or not writable
 */
export async function writeFileAtomic(path: string, text: string, mode?: number): Promise<void> {
  counter += 1;
  let temporary: string | undefined;
  try {
    if (await isSpecialFile(path)) return await writeFile(path, text);
    const target = (await realpath(path).catch(undefinedIf('ENOENT'))) ?? path;
    temporary = join(dirname(target), `.${basename(target)}.${process.pid}.${counter}`);
    const kept = (await stat(path).catch(undefinedIf('ENOENT')))?.mode ?? 0o666;
    const file = await open(temporary, 'wx', mode ?? kept & 0o777);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true });
    if (isErrno(error, 'ENOSPC', 'EDQUOT'))
      throw new LktError('DISK_FULL', `no space left to write ${path}`, { cause: error });
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT'))
      throw new LktError('IO_FAILED', `cannot write ${path}`, { cause: error });
    throw error;
  }
}
