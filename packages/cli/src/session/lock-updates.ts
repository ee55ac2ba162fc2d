import type { LockUpdates, Package, Workspace } from '@lkt/pkg';
import { lateUpdates } from '../output/lock-updates.ts';
import { buildTools } from './build-tools.ts';
import type { Session } from './session.ts';

/**
 * Compares the lock files of packages with the archive, and warns about security updates that they
 * have missed for more than a week.
 */
export async function lockUpdates(
  session: Session,
  workspace: Workspace,
  packages: readonly Package[],
): Promise<readonly LockUpdates[]> {
  const { findLockUpdates } = await import('@lkt/pkg');
  const now = new Date();
  const options = { ...(await buildTools(session)), now, withDates: true };
  const locks = await findLockUpdates(workspace, packages, options);
  for (const text of lateUpdates(locks, now)) session.reporter.emit({ kind: 'warning', text });
  return locks;
}
