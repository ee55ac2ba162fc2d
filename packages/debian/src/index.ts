export {
  assemble,
  type AssembleContext,
  type AssembleOptions,
  DEFAULT_EXCLUDES,
  type DeclaredDirectory,
  type DeclaredFile,
} from './assemble/assemble.ts';
export type { ArchiveOptions } from './archive/archive.ts';
export { type DebFile, debFiles } from './deb/deb-files.ts';
export { debControl, type DebOptions, debTar } from './deb/deb.ts';
export { fetchPackages, type FetchOptions } from './archive/fetch-packages.ts';
export {
  checkLock,
  type DebianLock,
  type DebianSpec,
  formatLock,
  type LockedPackage,
  parseLock,
} from './lock/lock.ts';
export {
  type ArchiveName,
  findMirror,
  type FindMirrorOptions,
  type Mirror,
} from './archive/mirror.ts';
export { type NewestSource, newestSource } from './archive/newest-source.ts';
export { parseAlternative } from './lock/relation.ts';
export { resolveLock } from './lock/resolve-lock.ts';
export { type DebianBlock } from './lock/debian-block.ts';
export { compareVersions, upstreamVersion } from './lock/version.ts';
export type { XzDecoder } from './deb/xz.ts';
