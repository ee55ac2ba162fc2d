import { globSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { namesIn } from '@lkt/oci/files';

/** The file that makes a directory a package. */
export const BUILD_YML = 'build.yml';

/** Directories whose subdirectories are packages even if git does not track them yet. */
const PARENTS: readonly string[] = ['pkg', 'tools', 'kernel'];

/**
 * Returns the package directories of a checkout, as absolute paths without symlinks: `pkg`,
 * `tools`, `kernel`, the directories directly below them, and those that git tracks.
 * @param buildYml name of the file that makes a directory a package
 * @param tracked directories with a tracked file of that name, relative to `root`
 */
export function packageDirs(
  root: string,
  buildYml: string,
  tracked: readonly string[] = [],
): readonly string[] {
  const found = new Set<string>();
  for (const parent of PARENTS) {
    const names = namesIn(join(root, parent)).toSorted((a, b) => (a < b ? -1 : 1));
    if (names.length === 0) continue;
    const top = realpathSync(join(root, parent));
    for (const name of ['', ...names]) {
      const dir = join(top, name);
      if (!isFile(join(dir, buildYml))) continue;
      // To resolve each whole path takes as long as the rest.
      found.add(lstatSync(dir).isSymbolicLink() ? realpathSync(dir) : dir);
    }
  }
  for (const path of tracked) {
    const dir = join(root, path);
    if (found.has(dir) || isHidden(path)) continue;
    const file = join(dir, buildYml);
    if (isFile(file) && declaresPackage(readFileSync(file, 'utf8'))) found.add(realpathSync(dir));
  }
  return [...found];
}

/**
 * Returns the directories of a workspace's own packages: those that `patterns` name, else as
 * `packageDirs`.
 * @param tracked absolute directories with a tracked build.yml; those outside `root` are ignored
 */
export function ownDirs(
  root: string,
  buildYml: string,
  patterns: readonly string[] | undefined,
  tracked: readonly string[],
): readonly string[] {
  if (patterns !== undefined) return matchingDirs(root, buildYml, patterns);
  const inside = tracked
    .map((dir) => relative(root, dir))
    .filter((path) => path !== '..' && !path.startsWith(`..${sep}`));
  return packageDirs(root, buildYml, inside);
}

/**
 * Returns the directories with a build.yml that patterns name, as absolute paths without symlinks.
 * Without patterns, all below `root`.
 */
export function matchingDirs(
  root: string,
  buildYml: string,
  patterns: readonly string[] = ['**'],
): readonly string[] {
  const files = patterns.map((pattern) => `${pattern.replace(/\/+$/, '')}/${buildYml}`);
  const found = globSync(files, { cwd: root, exclude: isSkipped })
    .toSorted()
    .filter((path) => !isHidden(path))
    .map((path) => dirname(join(root, path)))
    .filter((dir) => {
      const file = join(dir, buildYml);
      return isFile(file) && declaresPackage(readFileSync(file, 'utf8'));
    });
  return [...new Set(found.map((dir) => realpathSync(dir)))];
}

/** Reports whether a package is `pkg`, `tools` or `kernel`, or directly below. */
export function isUsual(root: string, dir: string): boolean {
  const [parent = '', ...below] = relative(root, dir).split(sep);
  return PARENTS.includes(parent) && below.length <= 1;
}

/**
 * Reports whether a package is built only when it is named: it is deeper than the directories
 * directly below `pkg`, `tools` and `kernel`, such as a flavour of a kernel.
 */
export function isOnRequest(root: string, dir: string): boolean {
  const [parent = '', ...below] = relative(root, dir).split(sep);
  return PARENTS.includes(parent) && below.length > 1;
}

/** Reports whether a directory has no packages of the workspace. */
function isSkipped(path: string): boolean {
  return /(?:^|\/)(?:node_modules|\.[^/]+)$/.test(path);
}

/** Reports whether a path has a part that begins with a dot, such as a forge's workflows. */
function isHidden(path: string): boolean {
  return path.startsWith('.') || path.includes('/.');
}

/** Reports whether a build.yml is one of a package: other tools have files of that name too. */
export function declaresPackage(text: string): boolean {
  return /^(['"]?)image\1\s*:/m.test(text);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
