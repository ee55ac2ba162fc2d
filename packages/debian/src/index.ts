export {
  assemble,
  type AssembleContext,
  type AssembleOptions,
  DEFAULT_EXCLUDES,
  type StatedDirectory,
  type StatedFile,
} from './assemble.ts';
export type { ArchiveOptions } from './archive.ts';
export { type DebFile, debFiles } from './deb-files.ts';
export { debControl, type DebOptions, debTar } from './deb.ts';
export { fetchPackages, type FetchOptions } from './fetch.ts';
export {
  checkLock,
  type DebianLock,
  type DebianSpec,
  formatLock,
  type LockedPackage,
  parseLock,
} from './lock.ts';
export { type ArchiveName, findMirror, type FindMirrorOptions, type Mirror } from './mirror.ts';
export { type NewestSource, newestSource } from './newest-source.ts';
export { parseAlternative } from './relation.ts';
export { resolveLock } from './resolve-lock.ts';
export { type DebianBlock } from './spec.ts';
export { compareVersions, upstreamVersion } from './version.ts';
export type { XzDecoder } from './xz.ts';
