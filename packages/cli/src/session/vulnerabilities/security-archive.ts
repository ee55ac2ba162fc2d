import type { InstalledPackage, PackageUpdate } from '@lkt/debian';
import type { SbomPackage } from '@lkt/vulns';
import { buildTools } from '../build-tools.ts';
import type { Session } from '../session.ts';

/**
 * Returns the Debian packages for which the archive of their release has a security update. The
 * archive's signature is verified; no vulnerability database is needed.
 */
export async function archiveUpdates(
  session: Session,
  packages: readonly SbomPackage[],
  architecture: string,
): Promise<readonly PackageUpdate[]> {
  const { findUpdates } = await import('@lkt/debian');
  const { mirror: findMirror, store, reporter, signal } = await buildTools(session);
  const mirror = await findMirror();
  const suites = new Map<string, InstalledPackage[]>();
  for (const { ecosystem, release = 'stable', name, version } of packages) {
    if (ecosystem !== 'debian') continue;
    const list = suites.get(release) ?? [];
    suites.set(release, [...list, { name, version }]);
  }
  const updates: PackageUpdate[] = [];
  for (const [suite, installed] of suites) {
    const options = { store, reporter, signal, now: new Date(), rejectsExpired: true };
    updates.push(...(await findUpdates({ suite, architecture }, installed, mirror, options)));
  }
  return updates.filter(({ isSecurity }) => isSecurity);
}
