import { Archive, type ArchiveOptions, type Suite } from './archive.ts';
import type { ArchiveName, Mirror } from './mirror.ts';
import { compareVersions } from '../lock/version.ts';

/** A binary package, by name and version. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
}

/** A newer version of a package that fixes security problems, or comes after one that does. */
export interface SecurityUpdate extends InstalledPackage {
  /** The newest version in the archives. */
  readonly newest: string;
  readonly archive: ArchiveName;
}

/**
 * Returns the packages for which the archives of a suite have a newer version with security fixes:
 * one of the security archive, or one of a point release that follows it.
 * @throws SIGNATURE_INVALID, DIGEST_MISMATCH, NETWORK_FAILED, NOT_FOUND, TOOL_MISSING,
 * ARCHIVE_INVALID
 */
export async function securityUpdates(
  suite: Suite,
  packages: readonly InstalledPackage[],
  mirror: Mirror,
  options: ArchiveOptions,
): Promise<readonly SecurityUpdate[]> {
  await using archive = await Archive.open(suite, mirror, options);
  return packages.flatMap(({ name, version }) => {
    const newer = archive
      .versions(name)
      .filter((item) => compareVersions(item.version, version) > 0);
    const [newest] = newer;
    const isSecurity = newer.some(
      (item) => item.archive === 'debian-security' || isStable(item.version),
    );
    return newest === undefined || !isSecurity
      ? []
      : [{ name, version, newest: newest.version, archive: newest.archive }];
  });
}

/**
 * Reports whether a version is an update of a stable release, `1.2-3+deb13u1`: a point release has
 * those of the security archive, which no longer lists them.
 */
function isStable(version: string): boolean {
  return /[+~]deb\d+u\d+/.test(version);
}
