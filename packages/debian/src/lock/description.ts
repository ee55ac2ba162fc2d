/** What describes a package of .debs: the block in build.yml and the lock. Loads nothing that reads archives. */
export {
  checkLock,
  type DebianLock,
  type DebianSpec,
  formatLock,
  type LockedPackage,
  parseLock,
} from './lock.ts';
export { DEBIAN, type DebianBlock } from './spec.ts';
