import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Role {
  readonly uid: number;
  readonly capabilities: readonly string[];
  readonly files: readonly string[];
}

/** The privileges of the three processes of pkg/dhcp, as the program reads them. */
export const roles = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../pkg/dhcp/roles.json'), 'utf8'),
) as Readonly<Record<string, Role>>;

/** Numbers of the capabilities that roles keep (linux/capability.h). */
const CAPABILITIES: Readonly<Record<string, number>> = { NET_ADMIN: 12 };

/** Returns a role's capabilities as /proc prints them. */
export function capabilitySet({ capabilities }: Role): string {
  const set = capabilities.reduce((sum, name) => sum + 2 ** (CAPABILITIES[name] ?? Number.NaN), 0);
  return set.toString(16).padStart(16, '0');
}

/** Returns the facts that tools/probe must print about the three processes, in order. */
export function expectedFacts(): string[] {
  return Object.entries(roles)
    .map(([name, role]) => {
      const set = capabilitySet(role);
      const sets = `permitted=${set} effective=${set} ambient=${set}`;
      const who = `dhcp-${name} uid=${role.uid} gid=${role.uid}`;
      return `sandboxed ${who} ${sets} no_new_privs=1 seccomp=2 files=${role.files.join(',')}`;
    })
    .toSorted();
}

/** Files that every process has open: its log, and the event file descriptors of Go's timers. */
const COMMON = /^(null|pipe:\[\d+\]|.*-stdout|.*-stderr|.*\.log|anon_inode:\[event(poll|fd)\])$/;

/** Returns a fact of tools/probe without the files that every process has open. */
export function withoutCommon(fact: string): string {
  const [head, files = ''] = fact.split('files=');
  const own = files.split(',').filter((name) => !COMMON.test(name));
  return `${head}files=${own.join(',')}`;
}
