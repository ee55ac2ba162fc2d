import { uniqueBy } from '@lkt/core';
import type { InstalledPackage, PackageUpdate } from '@lkt/debian';
import type { DebianLock, DebianSpec } from '@lkt/debian/description';
import { allPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { debianSpec, lockPath, readLock } from './debian-package.ts';
import { type LockPackageOptions, requireDebian } from './lock.ts';

/** The packages of a lock file that have newer versions. */
export interface LockUpdates {
  /** Path as shown to the user. */
  readonly file: string;
  /** `org/image` of the package that it belongs to. */
  readonly package: string;
  /** Sorted by name. */
  readonly updates: readonly PackageUpdate[];
}

/** Options of a search for newer versions of locked .debs. */
export interface LockUpdateOptions extends Omit<LockPackageOptions, 'platforms'> {
  /** Find when security updates were made; see `UpdateOptions`. */
  readonly withDates?: boolean;
  /** Reject an index of the archive that is stale, instead of a warning; see `UpdateOptions`. */
  readonly rejectsStale?: boolean;
}

interface OpenLock {
  readonly item: Package;
  readonly file: string;
  readonly spec: DebianSpec;
  readonly lock: DebianLock;
}

/** Returns the packages that are made from Debian packages, and so have lock files. */
export function lockedPackages(items: Iterable<Package>): readonly Package[] {
  return [...items].filter(({ debian }) => debian !== undefined);
}

/**
 * Compares lock files with the archive's current indexes, each of which is read once. Returns the
 * locks that have newer versions, in the order of `items`. Writes nothing.
 * @throws CONFIG_INVALID for a package without `debian` block
 * @throws NOT_FOUND, CONFIG_INVALID for a lock that is missing or does not match its build.yml
 * @throws LktError as `findUpdates` does
 * @example
 * ```ts
 * for (const { file, updates } of await findLockUpdates(workspace, items, options))
 *   console.log(file, updates.filter(({ isSecurity }) => isSecurity).length);
 * ```
 */
export async function findLockUpdates(
  workspace: Workspace,
  items: readonly Package[],
  options: LockUpdateOptions,
): Promise<readonly LockUpdates[]> {
  const locks = await Promise.all(items.map(async (item) => locksOf(workspace, item)));
  const found = new Map<OpenLock, readonly PackageUpdate[]>();
  for (const group of Map.groupBy(locks.flat(), suiteKey).values()) {
    const [first] = group;
    if (first === undefined) continue;
    const { findUpdates } = await import('@lkt/debian');
    const mirror = await options.mirror();
    const packages = uniqueBy(
      group.flatMap(({ lock }) => lock.packages),
      versionKey,
    );
    const onUnknown = ({ name, version }: InstalledPackage): void => {
      const files = group
        .filter(({ lock }) => lock.packages.some((one) => versionKey(one) === `${name} ${version}`))
        .map(({ file }) => file);
      const text = `the archive no longer has ${name}, which ${files.join(', ')} locks`;
      options.reporter.emit({ kind: 'warning', text });
    };
    const updates = await findUpdates(first.spec, packages, mirror, { ...options, onUnknown });
    const byVersion = new Map(updates.map((update) => [versionKey(update), update]));
    for (const one of group)
      found.set(
        one,
        one.lock.packages.flatMap((item) => byVersion.get(versionKey(item)) ?? []),
      );
  }
  return locks.flat().flatMap((one) => {
    const updates = found.get(one) ?? [];
    return updates.length === 0 ? [] : [{ file: one.file, package: one.item.name, updates }];
  });
}

/**
 * Checks that packages made from Debian packages have their lock files.
 * @throws NOT_FOUND, CONFIG_INVALID for a lock that is missing or does not match its build.yml
 */
export async function requireLocks(workspace: Workspace, items: readonly Package[]): Promise<void> {
  await Promise.all(lockedPackages(items).map(async (item) => locksOf(workspace, item)));
}

async function locksOf(workspace: Workspace, item: Package): Promise<readonly OpenLock[]> {
  requireDebian(item);
  return Promise.all(
    allPlatforms(item).map(async (platform) => ({
      item,
      file: workspace.displayPath(lockPath(item, platform)),
      spec: debianSpec(item, platform),
      lock: await readLock(workspace, item, platform),
    })),
  );
}

/** Locks with equal keys are resolved from the same indexes. */
function suiteKey({ spec }: OpenLock): string {
  const { suite, architecture, components = ['main'] } = spec;
  return [suite, architecture, ...components.toSorted()].join(' ');
}

function versionKey({ name, version }: { name: string; version: string }): string {
  return `${name} ${version}`;
}
