import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import type { Package } from './workspace.ts';
import type { Override } from './workspace-file.ts';

/** The packages that `overrides` of an lkt.yml can name. */
export interface OverridePackages {
  /** Directory of lkt.yml. */
  readonly root: string;
  /** File name of package descriptions. */
  readonly buildYml: string;
  /** Reports whether a collection has a package. @throws LktError if it may, but is invalid */
  readonly has: (name: string) => boolean;
  /**
   * Returns the package in a directory without symlinks; undefined if it is not one of this
   * lkt.yml.
   * @throws LktError if it is invalid
   */
  readonly packageAt: (dir: string) => Promise<Package | undefined>;
}

/**
 * Returns own packages by the names of those that they replace.
 * @throws CONFIG_INVALID at the override
 */
export async function readOverrides(
  overrides: ReadonlyMap<string, Override>,
  { root, buildYml, has, packageAt }: OverridePackages,
): Promise<ReadonlyMap<string, Package>> {
  const found = new Map<string, Package>();
  for (const [name, { dir, at }] of overrides) {
    if (!has(name))
      throw at.error(`no collection has the package ${name}`, { fix: 'correct the name' });
    const real = realPath(join(root, dir));
    if (real === undefined || !existsSync(join(real, buildYml))) {
      const missing =
        real === undefined ? `there is no directory ${dir}` : `${dir} has no ${buildYml}`;
      throw at.error(missing, { fix: 'name the directory of a package' });
    }
    const item = await packageAt(real);
    if (item === undefined)
      throw at.error(`${dir} is not among the packages of this lkt.yml`, {
        fix: 'add it to "packages"',
      });
    found.set(name, item);
  }
  return found;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
