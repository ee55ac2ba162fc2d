import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { matchDirs } from './match-dirs.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/**
 * A build argument of build.yml, or of the command line, which overrides that of the same name in
 * build.yml.
 */
export interface BuildArg {
  readonly name: string;
  /** May be a calculated value; see `resolveBuildArgs`. */
  readonly value: string;
  /** Absolute directory that relative paths in the value start from. */
  readonly dir: string;
  /** Creates an error at the position of the argument. */
  readonly at: {
    error(message: string, options?: { fix?: string; cause?: unknown }): LktError;
    /** Line and offsets in build.yml; undefined for an argument of the command line. */
    readonly position?: { readonly line: number };
    readonly range?: readonly [number, number] | undefined;
  };
}

/** A build argument with its value, or with the package whose reference is the value. */
export type ResolvedArg =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly package: Package };

/**
 * Resolves calculated arguments. `NAME=@lkt:pkg:DIR` is the reference of the package in DIR.
 * `NAME_%=@lkt:pkgs:GLOB` expands to one argument for each package directory that matches; `%`
 * becomes the name of the package in capitals.
 * @param item the package that the arguments are for; a pattern does not match it
 * @throws CONFIG_INVALID at the argument; NOT_FOUND if a matched directory has no
 * build.yml
 */
export async function resolveBuildArgs(
  workspace: Workspace,
  item: Package,
  args: readonly BuildArg[],
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
      resolved.push(...(await expandPattern(workspace, item, arg, value.slice('pkgs:'.length))));
    } else {
      throw arg.at.error(`"${arg.value}" is not a reference to packages`, {
        fix: `use ${PREFIX}pkg:DIRECTORY or ${PREFIX}pkgs:PATTERN`,
      });
    }
  }
  return resolved;
}

/** Returns the absolute pattern of an argument that expands to all packages that match, if any. */
export function namedPattern({ value, dir }: BuildArg): readonly string[] {
  const prefix = `${PREFIX}pkgs:`;
  return value.startsWith(prefix) ? [resolve(dir, value.slice(prefix.length))] : [];
}

/** Returns the directory of the package that an argument names, if any. */
export function namedDirs({ value, dir }: BuildArg): readonly string[] {
  const prefix = `${PREFIX}pkg:`;
  return value.startsWith(prefix) ? [resolve(dir, value.slice(prefix.length))] : [];
}

interface LoadOptions {
  /** Build arguments of the command line. */
  readonly given?: readonly BuildArg[];
  /** Whether no package names one outside the usual directories, except perhaps the targets. */
  readonly isPartial?: boolean;
}

/**
 * Adds the packages that calculated arguments name outside the usual directories to the workspace,
 * so that their sources are read together with all others. Ignores invalid arguments: the build
 * that uses them reports them.
 */
export async function loadArgPackages(
  workspace: Workspace,
  targets: readonly Package[],
  { given = [], isPartial = false }: LoadOptions = {},
): Promise<void> {
  const { catalog } = workspace;
  if (!isPartial) catalog.parseMentioning(PREFIX);
  const todo = new Set([...targets, ...(isPartial ? [] : catalog.packages.values())]);
  for (const item of todo) {
    const args = [...item.buildArgs, ...(targets.includes(item) ? given : [])];
    try {
      for (const arg of await resolveBuildArgs(workspace, item, args))
        if ('package' in arg) todo.add(arg.package);
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
    }
  }
}

const PREFIX = '@lkt:';

/** Reports whether a value refers to packages of the workspace: `@lkt:…`. */
export function isCalculated(value: string): boolean {
  return value.startsWith(PREFIX);
}

async function packageOf(workspace: Workspace, dir: string, arg: BuildArg): Promise<Package> {
  try {
    return await workspace.packageAt(dir);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
    throw arg.at.error(`${workspace.displayPath(dir)} is not a package`, { cause: error });
  }
}

async function expandPattern(
  workspace: Workspace,
  item: Package,
  arg: BuildArg,
  pattern: string,
): Promise<ResolvedArg[]> {
  if (!arg.name.includes('%')) {
    throw arg.at.error(`"${arg.name}" has no % for the name of each package`, {
      fix: `write it as ${arg.name}_%=${arg.value}`,
    });
  }
  const dirs = matchDirs(resolve(arg.dir, pattern)).filter((dir) => dir !== item.dir);
  if (dirs.length === 0) throw arg.at.error(`no directory matches "${pattern}"`);
  const packages = await Promise.all(dirs.map((dir) => workspace.packageAt(dir)));
  return packages.map((found) => ({
    name: arg.name.replaceAll('%', found.name.replaceAll(/[/-]/g, '_').toUpperCase()),
    package: found,
  }));
}
