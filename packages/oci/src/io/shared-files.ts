/** Files and directories that several processes change at once, in the store or elsewhere. */
export { type LockOptions, withLockAt } from '../store/lock.ts';
export { putFile, removeTree } from './temp.ts';
