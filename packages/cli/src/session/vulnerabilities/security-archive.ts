import type { InstalledPackage, PackageUpdate } from '@lkt/debian';
import type { SbomPackage } from '@lkt/vulns';
import { buildTools } from '../build-tools.ts';
import type { Session } from '../session.ts';

/** Security updates, and what the archive says nothing about. */
interface ArchiveUpdates {
  readonly updates: readonly PackageUpdate[];
  /** Package URLs of which the archive has no version, such as those of other components. */
  readonly unknown: readonly string[];
}

/**
 * Returns the Debian packages for which the archive of their release has a security update. The
 * archive's signature is verified; no vulnerability database is needed.
 */
export async function archiveUpdates(
  session: Session,
  packages: readonly SbomPackage[],
  architecture: string,
): Promise<ArchiveUpdates> {
  const { findUpdates } = await import('@lkt/debian');
  const { mirror: findMirror, store, reporter, signal } = await buildTools(session);
  const suites = new Map<string, (InstalledPackage & Pick<SbomPackage, 'purl'>)[]>();
  const unknown: string[] = [];
  for (const { purl, ecosystem, release = 'stable', name, version } of packages) {
    if (ecosystem !== 'debian') {
      unknown.push(purl);
      continue;
    }
    const list = suites.get(release) ?? [];
    suites.set(release, [...list, { purl, name, version }]);
  }
  const updates: PackageUpdate[] = [];
  for (const [suite, installed] of suites) {
    const mirror = await findMirror();
    const onUnknown = ({ name, version }: InstalledPackage): void => {
      for (const item of installed)
        if (item.name === name && item.version === version) unknown.push(item.purl);
    };
    const options = { store, reporter, signal, now: new Date(), rejectsStale: true, onUnknown };
    updates.push(...(await findUpdates({ suite, architecture }, installed, mirror, options)));
  }
  return {
    updates: updates.filter(({ isSecurity }) => isSecurity),
    unknown: [...new Set(unknown)].toSorted(),
  };
}
