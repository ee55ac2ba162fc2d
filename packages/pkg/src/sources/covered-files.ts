import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { LktError } from '@lkt/core';
import { isInside, type Repository } from '@lkt/git';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { lockPath } from '../debian/debian-package.ts';
import { BUILD_YML } from '../workspace/package-dirs.ts';
import { outsidePackage } from '../workspace/read-description.ts';

/**
 * Checks that the source hash covers the files by which a package is built, so that the hash
 * changes when they do: git does not ignore them, and no symlink leads out of the package.
 * @param dirs the source directories of the package, without symlinks
 * @param repositories by directory; none outside git
 * @throws CONFIG_INVALID
 */
export function requireCovered(
  workspace: Workspace,
  item: Package,
  dirs: readonly string[],
  repositories: ReadonlyMap<string, Repository>,
): void {
  const known = new Map<string, ReadonlySet<string>>();
  for (const path of instructionFiles(workspace, item)) {
    // The step that needs the file reports that it is missing.
    if (!existsSync(path)) continue;
    const real = realpathSync.native(path);
    const dir = dirs.find((one) => isInside(real, one));
    if (dir === undefined) throw outsidePackage(path, real, (one) => workspace.displayPath(one));
    const repository = repositories.get(dir);
    if (repository === undefined) continue;
    const inside = Buffer.from(relative(repository.root, real)).toString('latin1');
    const paths = known.get(dir) ?? pathsIn(repository, dir);
    known.set(dir, paths);
    if (paths.has(inside)) continue;
    const shown = workspace.displayPath(path);
    throw new LktError(
      'CONFIG_INVALID',
      `git ignores ${shown}, so the source hash does not cover it`,
      { fix: `run: git add --force ${workspace.displayPath(real)}` },
    );
  }
}

function pathsIn(repository: Repository, dir: string): ReadonlySet<string> {
  return new Set(repository.files(repository.pathOf(dir)).map(({ path }) => path));
}

/** Returns the paths of the files that are read besides the build context. */
function instructionFiles(workspace: Workspace, item: Package): readonly string[] {
  const { dir, dockerfile, depends, debian, arches, collection } = item;
  const buildYml = join(dir, collection === undefined ? workspace.buildYml : BUILD_YML);
  if (debian !== undefined)
    return [
      buildYml,
      ...arches.map((architecture) => lockPath(item, { os: 'linux', architecture })),
    ];
  // The context has an ignore file only if the source hash covers it, but it may be a link.
  const ignoreFiles = [`${dockerfile}.dockerignore`, '.dockerignore'].filter(
    (name) => lstatSync(join(dir, name), { throwIfNoEntry: false })?.isSymbolicLink() === true,
  );
  const fromFile = depends?.fromFile === undefined ? [] : [depends.fromFile.path];
  return [buildYml, ...[dockerfile, ...fromFile, ...ignoreFiles].map((name) => join(dir, name))];
}
