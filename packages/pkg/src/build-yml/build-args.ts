import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, matchesGlob, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A build argument given beside build.yml, whose argument of the same name it replaces. */
export interface GivenArg {
  readonly name: string;
  /** May be a calculated one, as in build.yml. */
  readonly value: string;
  /** What paths in the value are relative to; absolute. */
  readonly dir: string;
  /** Makes an error at the place it is given. */
  readonly at: { error(message: string, options?: { fix?: string; cause?: unknown }): LktError };
}

/** A build argument with its value, or with the package whose reference is its value. */
export type ResolvedArg =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly package: Package };

/**
 * Resolves calculated arguments: `NAME=@lkt:pkg:DIR` is the reference of the package in DIR, and
 * `NAME_%=@lkt:pkgs:GLOB` gives one argument for every package directory that the pattern matches, with `%` replaced by
 * the package's name in capitals.
 * @param item the package that the arguments are for; a pattern does not match it
 * @throws LktError CONFIG_INVALID at the argument; NOT_FOUND
 */
export async function resolveBuildArgs(
  workspace: Workspace,
  item: Package,
  args: readonly GivenArg[],
): Promise<readonly ResolvedArg[]> {
  const resolved: ResolvedArg[] = [];
  for (const arg of args) {
    if (!isCalculated(arg.value)) {
      resolved.push({ name: arg.name, value: arg.value });
      continue;
    }
    const value = arg.value.slice(PREFIX.length);
    if (value.startsWith('pkg:')) {
      const dir = resolve(arg.dir, value.slice('pkg:'.length));
      resolved.push({ name: arg.name, package: await packageOf(workspace, dir, arg) });
    } else if (value.startsWith('pkgs:')) {
      resolved.push(...(await several(workspace, item, arg, value.slice('pkgs:'.length))));
    } else {
      throw arg.at.error(`"${arg.value}" is no calculated value`, {
        fix: `use ${PREFIX}pkg:DIRECTORY or ${PREFIX}pkgs:PATTERN`,
      });
    }
  }
  return resolved;
}

/**
 * Loads the packages that calculated arguments name and that stand elsewhere in the repository than packages do, so that
 * their sources are read with all others. What is wrong with an argument is said where it is used.
 */
export async function loadArgPackages(
  workspace: Workspace,
  targets: readonly Package[],
  given: readonly GivenArg[] = [],
): Promise<void> {
  const todo = new Set([...targets, ...workspace.packages.values()]);
  for (const item of todo) {
    const own = item.buildArgs.map((arg) => ({ ...arg, dir: item.dir }));
    const args = [...own, ...(targets.includes(item) ? given : [])];
    try {
      for (const arg of await resolveBuildArgs(workspace, item, args))
        if ('package' in arg) todo.add(arg.package);
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
    }
  }
}

const PREFIX = '@lkt:';

/** Whether a value stands for packages as they are now. */
export function isCalculated(value: string): boolean {
  return value.startsWith(PREFIX);
}

async function packageOf(workspace: Workspace, dir: string, arg: GivenArg): Promise<Package> {
  try {
    return await workspace.packageAt(dir);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
    throw arg.at.error(`${workspace.displayPath(dir)} is not a package`, { cause: error });
  }
}

async function several(
  workspace: Workspace,
  item: Package,
  arg: GivenArg,
  pattern: string,
): Promise<ResolvedArg[]> {
  if (!arg.name.includes('%')) {
    throw arg.at.error(`"${arg.name}" needs a % where the name of each package goes`, {
      fix: `write it as ${arg.name}_%=${arg.value}`,
    });
  }
  const dirs = (await matching(resolve(arg.dir, pattern))).filter((dir) => dir !== item.dir);
  if (dirs.length === 0) throw arg.at.error(`no directory matches "${pattern}"`);
  const packages = await Promise.all(dirs.map((dir) => workspace.packageAt(dir)));
  return packages.map((found) => ({
    name: arg.name.replaceAll('%', found.name.replaceAll(/[/-]/g, '_').toUpperCase()),
    package: found,
  }));
}

/** Directories that match, sorted; hidden ones are left out, as in LinuxKit. `*` does not cross a slash. */
async function matching(pattern: string): Promise<string[]> {
  if (!/[*?[]/.test(pattern)) return (await isDirectory(pattern)) ? [pattern] : [];
  const parents = await matching(dirname(pattern));
  const found: string[] = [];
  for (const parent of parents) {
    for (const name of (await readdir(parent)).toSorted((a, b) => (a < b ? -1 : 1))) {
      const path = join(parent, name);
      if (name.startsWith('.') || !matchesGlob(name, basename(pattern))) continue;
      if (await isDirectory(path)) found.push(path);
    }
  }
  return found;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}
