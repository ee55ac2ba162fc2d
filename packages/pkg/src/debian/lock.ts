import { readFile } from 'node:fs/promises';
import { LktError, undefinedIf, writeFileAtomic } from '@lkt/core';
import {
  type DebianLock,
  formatLock,
  type LockedPackage,
  parseLock,
} from '@lkt/debian/description';
import type { Platform } from '@lkt/oci';
import type { BuildOptions } from '../build/build-options.ts';
import { debianSpec, lockPath } from './debian-package.ts';
import { allPlatforms, platformsOf } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** The changes that a new lock makes, for review. */
export interface LockReport {
  /** Path as shown to the user. */
  readonly file: string;
  readonly added: readonly LockedPackage[];
  readonly removed: readonly LockedPackage[];
  readonly changed: readonly { readonly from: LockedPackage; readonly to: LockedPackage }[];
  /** Number of packages in the new lock. */
  readonly total: number;
}

/** Options of locking the .debs of a package. */
export interface LockPackageOptions extends Pick<
  BuildOptions,
  'store' | 'mirror' | 'reporter' | 'signal'
> {
  /** Default: all architectures of the package. */
  readonly platforms?: readonly Platform[];
  /** The time at which the archive's indexes must be valid. Default: now. */
  readonly now?: Date | undefined;
  /** Files of OpenPGP keys that may sign the archive. Default: Debian's keys. */
  readonly keyrings?: readonly string[] | undefined;
}

/** A lock that is not written yet. */
export interface ResolvedLock {
  /** The package that it belongs to. */
  readonly item: Package;
  readonly path: string;
  readonly text: string;
  readonly lock: DebianLock;
  readonly report: LockReport;
}

/**
 * Resolves the `debian` block of a package and writes one lock file per platform. Leaves an
 * unchanged lock file alone.
 * @throws CONFIG_INVALID if the package has no `debian` block
 * @throws OUTDATED for an older version than that in a lock with the same request
 * @throws LktError as `resolveLock` does
 * @example
 * ```ts
 * const [report] = await lockPackage(workspace, item, { store, mirror, reporter });
 * for (const { from, to } of report?.changed ?? []) console.log(from.version, to.version);
 * ```
 */
export async function lockPackage(
  workspace: Workspace,
  item: Package,
  options: LockPackageOptions,
): Promise<readonly LockReport[]> {
  const locks = await resolvePackage(workspace, item, options);
  for (const lock of locks) await writeLock(lock);
  return locks.map(({ report }) => report);
}

/**
 * Resolves the `debian` block of a package for each platform. Writes nothing.
 * @throws OUTDATED for an older version than that in a lock with the same request
 * @throws LktError as `lockPackage` does
 */
export async function resolvePackage(
  workspace: Workspace,
  item: Package,
  options: LockPackageOptions,
): Promise<readonly ResolvedLock[]> {
  requireDebian(item);
  const mirror = await options.mirror();
  const locks: ResolvedLock[] = [];
  for (const platform of platformsOf(item, options.platforms ?? allPlatforms(item))) {
    const path = lockPath(item, platform);
    const file = workspace.displayPath(path);
    const before = await readExisting(path, file);
    const { compareVersions, resolveLock } = await import('@lkt/debian');
    const lock = await resolveLock(debianSpec(item, platform), mirror, options);
    const report = { file, ...difference(before?.packages ?? [], lock.packages) };
    const older = report.changed.find(
      ({ from, to }) => compareVersions(to.version, from.version) < 0,
    );
    if (older !== undefined && before?.suite === lock.suite && before.request === lock.request)
      throw downgrade(older, path, file);
    locks.push({ item, path, text: formatLock(lock), lock, report });
  }
  return locks;
}

/**
 * Compares the lock files of two versions of a package.
 * @param before undefined for a new package
 * @param after undefined for a removed package
 * @returns the locks with changes; those of a removed package have its earlier text
 */
export async function compareLocks(
  before: Package | undefined,
  after: Package | undefined,
  displayPath: (path: string) => string,
): Promise<readonly ResolvedLock[]> {
  const old = await existingLocks(before, displayPath);
  const now = await existingLocks(after, displayPath);
  const changed: ResolvedLock[] = [];
  for (const architecture of new Set([...old.keys(), ...now.keys()])) {
    const was = old.get(architecture);
    const is = now.get(architecture);
    const found = is ?? was;
    if (found === undefined) continue;
    const change = difference(was?.lock.packages ?? [], is?.lock.packages ?? []);
    if (change.added.length + change.removed.length + change.changed.length === 0) continue;
    const report = { file: displayPath(found.path), ...change };
    changed.push({ ...found, text: formatLock(found.lock), report });
  }
  return changed;
}

/** Returns the valid lock files of a package by architecture. */
async function existingLocks(
  item: Package | undefined,
  displayPath: (path: string) => string,
): Promise<ReadonlyMap<string, Pick<ResolvedLock, 'item' | 'lock' | 'path'>>> {
  const found = new Map<string, Pick<ResolvedLock, 'item' | 'lock' | 'path'>>();
  if (item?.debian === undefined) return found;
  for (const platform of allPlatforms(item)) {
    const path = lockPath(item, platform);
    const lock = await readExisting(path, displayPath(path));
    if (lock !== undefined) found.set(platform.architecture, { item, lock, path });
  }
  return found;
}

/** @throws CONFIG_INVALID for a package without `debian` block */
export function requireDebian(item: Package): void {
  if (item.debian !== undefined) return;
  throw new LktError('CONFIG_INVALID', `${item.file.path} has no "debian" block to lock`, {
    fix: 'name a package with a "debian" block',
  });
}

/** Returns the error of an archive whose signed index is older than that of the lock. */
function downgrade(
  { from, to }: LockReport['changed'][number],
  path: string,
  file: string,
): LktError {
  const what = `${file}: the archive has ${to.name} ${to.version}, older than the locked ${from.version}`;
  return new LktError('OUTDATED', what, {
    cause: new Error('the mirror lags behind, or withholds updates'),
    fix: `try again later, or set LKT_DEBIAN_MIRROR to another mirror; to accept it, remove ${path}`,
  });
}

/** Writes a lock file, unless it has the same content. */
export async function writeLock({ path, text }: ResolvedLock): Promise<void> {
  const before = await readFile(path, 'utf8').catch(undefinedIf('ENOENT'));
  if (text !== before) await writeFileAtomic(path, text);
}

/**
 * Returns the existing lock; undefined if it is missing or invalid: it is about to be replaced.
 */
async function readExisting(path: string, name: string): Promise<DebianLock | undefined> {
  const text = await readFile(path, 'utf8').catch(undefinedIf('ENOENT'));
  if (text === undefined) return undefined;
  try {
    return parseLock({ path: name, text });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return undefined;
  }
}

function difference(
  before: readonly LockedPackage[],
  after: readonly LockedPackage[],
): Omit<LockReport, 'file'> {
  const old = new Map(before.map((item) => [item.name, item]));
  const now = new Map(after.map((item) => [item.name, item]));
  return {
    added: after.filter(({ name }) => !old.has(name)),
    removed: before.filter(({ name }) => !now.has(name)),
    changed: after.flatMap((to) => {
      const from = old.get(to.name);
      return from === undefined || from.digest === to.digest ? [] : [{ from, to }];
    }),
    total: after.length,
  };
}
