import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import type { BuiltPackage, Package, Workspace } from '@lkt/pkg';
import type { FoundAction } from '@lkt/pkg/action-cache';
import type { FlagValues } from '../flags/options.ts';
import { type platformFlags, wantedPlatforms } from '../flags/platform.ts';

/** A cached result of a package. */
interface NamedResult {
  readonly name: string;
}

/** The packages that a command line names. */
interface PackageTargets {
  /** Their directories, in the order of the command. */
  readonly dirs: readonly string[];
  /** Those without a cached result. */
  readonly changed: readonly Package[];
  readonly platforms: readonly Platform[] | undefined;
}

/** Flags that hold for each package alone. */
const PER_PACKAGE: ReadonlySet<string> = new Set([
  'all',
  'cpus',
  'deps',
  'jobs',
  'json',
  'max-memory',
  'max-output',
  'max-processes',
  'max-time',
  'offline',
  'platforms',
  'progress',
  'quiet',
  'cache',
  'timeline',
  'verbose',
]);

/**
 * Returns the cached results of single packages, if a build of the others gives the same as a build
 * of all. Other flags change the packages that targets use, or need all packages.
 */
export function usableParts<Result>(
  { catalog }: Workspace,
  flags: Readonly<Record<string, unknown>>,
  found: FoundAction<Result> | undefined,
): FoundAction<Result> | undefined {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined && value !== false);
  const arePerPackage = given.every(([flag]) => PER_PACKAGE.has(flag));
  return arePerPackage && catalog.problems.length === 0 ? found : undefined;
}

/**
 * Returns the packages of a command line. Parses those that have no cached result.
 * @param args directories
 * @throws LktError NOT_FOUND, CONFIG_INVALID, USAGE_INVALID
 */
export async function findTargets(
  workspace: Workspace,
  args: readonly string[],
  flags: FlagValues<typeof platformFlags> & { readonly all?: boolean | undefined },
  known: FoundAction<NamedResult> | undefined,
): Promise<PackageTargets> {
  if (flags.all !== true) {
    const found: { readonly dir: string; readonly item?: Package }[] = [];
    for (const arg of args) {
      const dir = resolve(workspace.start, arg);
      const item = known?.parts[dir] === undefined ? await workspace.packageAt(arg) : undefined;
      found.push(item === undefined ? { dir } : { dir: item.dir, item });
    }
    const changed = found.flatMap(({ item }) => item ?? []);
    const platforms = await wantedPlatforms(flags, changed);
    return { dirs: found.map(({ dir }) => dir), changed, platforms };
  }
  const { supportsPlatforms } = await import('@lkt/pkg');
  const parts = known?.parts ?? {};
  const items = known === undefined ? workspace.all() : await othersThan(workspace, parts);
  const platforms = await wantedPlatforms(flags, items);
  const changed = items.filter((item) => supportsPlatforms(item, platforms));
  const names = new Map(changed.map(({ dir, name }) => [dir, name]));
  for (const dir of known === undefined ? [] : workspace.allDirs) {
    const part = parts[dir];
    if (part !== undefined) names.set(dir, part.result.name);
  }
  if (names.size === 0) throw noneSupports(workspace);
  // As if all were parsed: sorted by name.
  const sorted = [...names].toSorted(([dirA, a], [dirB, b]) =>
    (a === b ? dirA < dirB : a < b) ? -1 : 1,
  );
  return { dirs: sorted.map(([dir]) => dir), changed, platforms };
}

/** Parses the packages of `all` that have no cached result. */
async function othersThan(
  workspace: Workspace,
  parts: Readonly<Record<string, unknown>>,
): Promise<readonly Package[]> {
  const dirs = workspace.allDirs.filter((dir) => parts[dir] === undefined);
  return Promise.all(dirs.map((dir) => workspace.packageAt(dir)));
}

function noneSupports({ root, allDirs }: Workspace): LktError {
  return allDirs.length === 0
    ? new LktError('NOT_FOUND', `${root} has no packages that git tracks`, {
        fix: 'add one: lkt new package NAME, and git add it',
      })
    : new LktError('NOT_FOUND', `no package of ${root} supports these platforms`, {
        fix: 'name others with --platforms, or add them to "arches" in build.yml',
      });
}

/** Returns the directories of packages and of all that they use, each after those that it uses. */
export async function orderOf(
  dirs: readonly string[],
  built: readonly BuiltPackage[],
  known: FoundAction<unknown> | undefined,
): Promise<readonly string[]> {
  const { buildOrder } = await import('@lkt/pkg');
  const uses = new Map(built.map((one) => [one.item.dir, one.uses.map(({ dir }) => dir)]));
  return buildOrder(
    dirs,
    async (dir) => uses.get(dir) ?? known?.parts[dir]?.uses ?? [],
    (dir) => dir,
  );
}
