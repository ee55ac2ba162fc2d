import { fromRaw, toRaw } from '@lkt/oci';
import { accountsIn } from '../copy/accounts.ts';
import { findUser, homeOf, readShort, type User } from '../copy/owners.ts';
import type { SandboxMount } from '../sandbox/sandbox.ts';
import { pathAt } from '../system/raw-fs.ts';
import { resolveIn } from '../system/rooted.ts';

/** Names of `CAPABILITIES`, in their order. */
export const CAPABILITY_NAMES: readonly string[] =
  'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP'
    .split(' ')
    .map((name) => `CAP_${name}`);

/**
 * Returns the user of a command; undefined if the name does not exist. The image's accounts decide,
 * also where a mount hides them.
 */
export function commandUser(root: string, name: string): User | undefined {
  return findUser(name, accountsIn(root));
}

/** Returns the home of a user by the /etc/passwd that the command sees. */
export function commandHome(root: string, mounts: readonly SandboxMount[], user: User): string {
  const path = `/${fromRaw(resolveIn(root, 'etc/passwd') ?? 'etc/passwd')}`;
  const over = mounts.findLast(({ target }) => `${path}/`.startsWith(`${target}/`));
  if (over === undefined) return homeOf(user, accountsIn(root).passwd);
  if (over.type === 'tmpfs') return homeOf(user, '');
  const inside = resolveIn(over.source, toRaw(path.slice(over.target.length + 1)));
  return homeOf(user, inside === undefined ? '' : readShort(pathAt(over.source, inside)));
}
