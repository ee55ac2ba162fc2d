import { accountsIn } from '../copy/accounts.ts';
import { findUser, type User } from '../copy/owners.ts';
import { environmentOf, type Sandbox } from '../sandbox/sandbox.ts';

/** Names of `CAPABILITIES`, in their order. */
export const CAPABILITY_NAMES: readonly string[] =
  'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP'
    .split(' ')
    .map((name) => `CAP_${name}`);

/**
 * Returns the user of a command from the image's accounts; undefined if the name does not exist.
 */
export function commandUser({ root, user }: Sandbox): User | undefined {
  return findUser(user, accountsIn(root));
}

/** Returns the environment of a command. */
export function commandEnvironment(sandbox: Sandbox): Readonly<Record<string, string>> {
  return { HOME: commandUser(sandbox)?.home ?? '/', ...environmentOf(sandbox.env) };
}
