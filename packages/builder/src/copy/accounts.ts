import type { RawPath } from '@lkt/oci';
import { pathAt } from '../system/raw-fs.ts';
import { resolveIn } from '../system/rooted.ts';
import { type Accounts, readAccounts, readShort } from './owners.ts';

/** Returns the account files of a mounted file system, whose links resolve within it. */
export function accountsIn(root: string): Accounts {
  return readAccounts((path: RawPath) => {
    const file = resolveIn(root, path);
    return file === undefined ? '' : readShort(pathAt(root, file));
  });
}
