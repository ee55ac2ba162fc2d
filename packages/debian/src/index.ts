export { assemble, DEFAULT_EXCLUDES } from './assemble/assemble.ts';
export { parseCopyright } from './copyright/copyright-file.ts';
export type { LicenseText, PackageLicense } from './copyright/license.ts';
export { type DebFile, debFiles } from './deb/deb-files.ts';
export { debMetadata, type DebMetadata, type IncorporatedSource } from './deb/deb-metadata.ts';
export { fetchPackages } from './archive/fetch-packages.ts';
export {
  checkLock,
  type DebianLock,
  formatLock,
  type LockedPackage,
  parseLock,
  SOURCE_ARCHITECTURE,
} from './lock/lock.ts';
export { findMirror, type Mirror } from './archive/mirror.ts';
export { newestSource } from './archive/newest-source.ts';
export {
  findUpdates,
  type InstalledPackage,
  type PackageUpdate,
  type UpdateOptions,
} from './archive/updates.ts';
export { parseAlternative } from './lock/relation.ts';
export { resolveLock } from './lock/resolve-lock.ts';
export { type DebianBlock } from './lock/debian-block.ts';
export { namedVulnerabilities } from './deb/changelog.ts';
export { compareVersions, upstreamVersion, withoutRebuild } from './lock/version.ts';
