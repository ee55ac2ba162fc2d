import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Role {
  readonly uid?: number;
  readonly capabilities: readonly string[];
  readonly files: readonly string[];
}

type Roles = Readonly<Record<string, Role>>;

/** Returns the privileges of a package's processes, as the program reads them. */
function rolesOf(name: string): Roles {
  const cwd = join(import.meta.dirname, '../../../pkg');
  const [path = ''] = globSync(`${name}/{,*/}roles.json`, { cwd });
  return JSON.parse(readFileSync(join(cwd, path), 'utf8')) as Roles;
}

/** The privileges of the three processes of pkg/dhcp. */
export const roles: Roles = rolesOf('dhcp');

/** Numbers of the capabilities that roles keep (linux/capability.h). */
const CAPABILITIES: Readonly<Record<string, number>> = {
  NET_BIND_SERVICE: 10,
  NET_ADMIN: 12,
  SYS_MODULE: 16,
  SYS_TIME: 25,
};

/** Returns a role's capabilities as /proc prints them. */
export function capabilitySet({ capabilities }: Role): string {
  const set = capabilities.reduce((sum, name) => sum + 2 ** (CAPABILITIES[name] ?? Number.NaN), 0);
  return set.toString(16).padStart(16, '0');
}

/** Programs with another name than their package, and the user of their container. */
const PROGRAMS: Readonly<Record<string, { readonly program: string; readonly user: number }>> = {
  node_exporter: { program: 'node', user: 685 },
};

/**
 * Returns the facts that tools/probe must print about processes, in order. Arguments are the roles
 * by package.
 */
export function expectedFacts(processes: Readonly<Record<string, readonly string[]>>): string[] {
  const facts = Object.entries(processes).flatMap(([name, names]) => {
    const all = rolesOf(name);
    const { program, user } = PROGRAMS[name] ?? { program: name, user: 0 };
    return names.map((role) => factOf(`${program}-${role}`, all[role], user));
  });
  return facts.toSorted();
}

function factOf(name: string, role: Role | undefined, user: number): string {
  if (role === undefined) throw new Error(`no role ${name}`);
  const set = capabilitySet(role);
  const sets = `permitted=${set} effective=${set} ambient=${set}`;
  const { uid = user } = role;
  const who = `${name} uid=${uid} gid=${uid}`;
  return `sandboxed ${who} ${sets} no_new_privs=1 seccomp=2 files=${role.files.join(',')}`;
}

/** Files that every process has open: its log, and the event file descriptors of Go's timers. */
const COMMON =
  /^(null|console|fifo|pipe:\[\d+\]|.*-stdout|.*-stderr|.*\.log|anon_inode:\[event(poll|fd)\])$/;

/** Returns a fact of tools/probe without the files that every process has open. */
export function withoutCommon(fact: string): string {
  const [head, files = ''] = fact.split('files=');
  const own = files.split(',').filter((name) => !COMMON.test(name));
  return `${head}files=${own.join(',')}`;
}
