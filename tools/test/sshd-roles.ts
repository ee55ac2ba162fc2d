import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Role {
  readonly uid?: number;
  readonly capabilities: readonly string[];
  readonly programs?: boolean;
}

/** Numbers of the capabilities that roles keep (linux/capability.h). */
const CAPABILITIES: Readonly<Record<string, number>> = { KILL: 5, SETGID: 6, SETUID: 7 };

/**
 * Returns the processes of pkg/sshd during a login of root, as fields of proc_pid_status(5): name,
 * users, permitted and effective capabilities, no_new_privs, and the number of filters. One filter
 * is the container's.
 */
export function expectedProcesses(): string[] {
  const path = join(import.meta.dirname, '../../pkg/sshd/roles.json');
  const roles = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, Role>>;
  return Object.entries(roles)
    .filter(([name]) => name !== 'sftp')
    .map(([name, { uid = 0, capabilities, programs }]) => {
      const set = capabilities
        .reduce((sum, capability) => sum + 2 ** (CAPABILITIES[capability] ?? Number.NaN), 0)
        .toString(16)
        .padStart(16, '0');
      const users = Array<number>(4).fill(uid).join(' ');
      return `sshd-${name} ${users} ${set} ${set} 1 ${programs === true ? 1 : 2}`;
    });
}
