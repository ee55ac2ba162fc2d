import { type LockReport, type ResolvedLock, resolvePackage, writeLock } from './lock.ts';
import { findLockUpdates, type LockUpdateOptions, type LockUpdates } from './lock-updates.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** Locks that were refreshed. */
export interface UpdatedLocks {
  readonly locks: readonly LockReport[];
  /** Newer versions that build.yml holds back. */
  readonly left: readonly LockUpdates[];
}

/**
 * Refreshes the locks of those packages for which the archive has newer versions. All are resolved
 * before the first is written, so a failure changes no file.
 * @throws LktError as `findLockUpdates` and `lockPackage` do
 */
export async function updateLocks(
  workspace: Workspace,
  items: readonly Package[],
  options: LockUpdateOptions,
): Promise<UpdatedLocks> {
  const available = await findLockUpdates(workspace, items, options);
  const resolved: ResolvedLock[] = [];
  for (const item of items.filter(({ name }) => available.some((one) => one.package === name)))
    resolved.push(...(await resolvePackage(workspace, item, options)));
  const changed = resolved.filter(
    ({ report: { added, removed, changed: replaced } }) =>
      added.length + removed.length + replaced.length > 0,
  );
  for (const lock of changed) await writeLock(lock);
  const locks = changed.map(({ report }) => report);
  return { locks, left: updatesLeft(available, resolved) };
}

/** Returns the newer versions that the new locks do not have. */
export function updatesLeft(
  available: readonly LockUpdates[],
  locks: readonly ResolvedLock[],
): readonly LockUpdates[] {
  return available.flatMap((lock) => {
    const now = locks.find(({ report }) => report.file === lock.file)?.lock.packages;
    const updates = lock.updates.filter(
      ({ name, version }) =>
        now === undefined || now.some((item) => item.name === name && item.version === version),
    );
    return updates.length === 0 ? [] : [{ ...lock, updates }];
  });
}
