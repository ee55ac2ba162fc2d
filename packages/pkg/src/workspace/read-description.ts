import { join } from 'node:path';
import { isErrno, LktError, readSource, type SourceFile } from '@lkt/core';

/**
 * Reads the description of a package.
 * @param name of the file, normally `build.yml`
 * @throws NOT_FOUND if it is missing
 */
export function readDescription(
  dir: string,
  name: string,
  displayPath: (path: string) => string,
): SourceFile {
  const path = join(dir, name);
  try {
    return readSource(path, displayPath(path));
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new LktError('NOT_FOUND', `${displayPath(dir)} has no ${name}`, {
      cause: error,
      fix: 'name the directory of a package',
    });
  }
}
