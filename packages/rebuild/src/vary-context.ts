import { constants } from 'node:fs';
import { chmod, copyFile, lstat, lutimes, mkdir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContextFile } from '@lkt/builder';

/** A time that no file of a context has: in the past, in the middle of a minute. */
const OTHER_TIME = 1_111_111_111;

/**
 * Copies the files of a context to another directory, with other times and permission bits that
 * images ignore. Anything but files and symlinks stays in place.
 */
export async function varyContext(
  files: readonly ContextFile[],
  directory: string,
  signal?: AbortSignal,
): Promise<readonly ContextFile[]> {
  await mkdir(directory, { recursive: true });
  const moved: ContextFile[] = [];
  for (const [index, { path, source }] of files.entries()) {
    signal?.throwIfAborted();
    const stats = await lstat(source);
    const target = join(directory, String(index));
    if (stats.isSymbolicLink()) {
      await symlink(await readlink(source, 'buffer'), target);
    } else if (stats.isFile()) {
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      await chmod(target, (stats.mode & 0o100) === 0 ? 0o600 : 0o700);
    } else {
      moved.push({ path, source });
      continue;
    }
    await lutimes(target, OTHER_TIME, OTHER_TIME);
    moved.push({ path, source: target });
  }
  return moved;
}
