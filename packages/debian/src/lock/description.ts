/**
 * The description of a Debian package set: build.yml's block and the lock. Loads no code that reads
 * archives.
 */
export {
  checkLock,
  type DebianLock,
  type DebianSpec,
  formatLock,
  type LockedPackage,
  parseLock,
} from './lock.ts';
export { DEBIAN, type DebianBlock } from './debian-block.ts';
