import type { LockUpdates, LockUpdateOptions, Package, Workspace } from '@lkt/pkg';
import { lateUpdates } from '../output/lock-updates.ts';

/**
 * Compares the lock files of packages with the archive, and warns about security updates that they
 * have missed for more than a week.
 */
export async function lockUpdates(
  workspace: Workspace,
  packages: readonly Package[],
  options: LockUpdateOptions,
): Promise<readonly LockUpdates[]> {
  const { findLockUpdates } = await import('@lkt/pkg');
  const { now = new Date(), reporter } = options;
  const locks = await findLockUpdates(workspace, packages, { ...options, now, withDates: true });
  for (const text of lateUpdates(locks, now)) reporter.emit({ kind: 'warning', text });
  return locks;
}
