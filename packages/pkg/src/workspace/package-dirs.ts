import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { namesIn } from '@lkt/oci/files';

/** The file that makes a directory a package. */
export const BUILD_YML = 'build.yml';

/** Directories of a checkout that may contain packages, or be packages themselves. */
const PARENTS: readonly string[] = ['pkg', 'tools', 'kernel'];

/**
 * Returns the package directories of a checkout, as absolute paths without symlinks.
 * @param buildYml name of the file that makes a directory a package
 */
export function packageDirs(root: string, buildYml: string): readonly string[] {
  const found = new Set<string>();
  for (const parent of PARENTS) {
    const names = namesIn(join(root, parent)).toSorted((a, b) => (a < b ? -1 : 1));
    for (const name of ['', ...names]) {
      const dir = join(root, parent, name);
      const stats = statSync(join(dir, buildYml), { throwIfNoEntry: false });
      if (stats?.isFile() === true) found.add(realpathSync(dir));
    }
  }
  return [...found];
}
