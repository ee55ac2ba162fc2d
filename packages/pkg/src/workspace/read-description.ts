import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isInside } from '@lkt/git';
import { isErrno, LktError, readSource, type SourceFile } from '@lkt/core';

/**
 * Reads the description of a package.
 * @param name of the file, normally `build.yml`
 * @throws NOT_FOUND if it is missing
 * @throws CONFIG_INVALID if it is a symlink that leads out of the directory: an error in it would
 * show the text of a file elsewhere
 */
export function readDescription(
  dir: string,
  name: string,
  displayPath: (path: string) => string,
): SourceFile {
  const path = join(dir, name);
  try {
    const real = lstatSync(path).isSymbolicLink() ? realpathSync(path) : path;
    if (real !== path && !isInside(real, realpathSync(dir)))
      throw outsidePackage(path, real, displayPath);
    return readSource(path, displayPath(path));
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new LktError('NOT_FOUND', `${displayPath(dir)} has no ${name}`, {
      cause: error,
      fix: 'name the directory of a package',
    });
  }
}

/** Returns the error for a file of a package that leads to a file outside of it. */
export function outsidePackage(
  path: string,
  real: string,
  displayPath: (path: string) => string,
): LktError {
  const message = `${displayPath(path)} is outside the package: it leads to ${displayPath(real)}`;
  return new LktError('CONFIG_INVALID', message, {
    fix: 'copy the file into the package, or add its directory to extra-sources',
  });
}
