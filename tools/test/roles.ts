import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The purpose of a process, and its privileges (pkg/sandbox/role.go). */
interface Role {
  readonly uid?: number;
  readonly capabilities: readonly string[];
  readonly files: readonly string[];
  /** Limit of processor time, in seconds. */
  readonly cpu?: number;
  readonly programs?: boolean;
}

type Roles = Readonly<Record<string, Role>>;

/** Roles by package. */
type RoleNames = Readonly<Record<string, readonly string[]>>;

/** A boot of the tests that compares roles. */
type Boot = 'minimal' | 'sshd' | 'network' | 'services' | 'logging' | 'dm-crypt' | 'secure-boot';

/** The roles that each boot compares with `/proc`. Together these are all. */
export const COMPARED: Readonly<Record<Boot, RoleNames>> = {
  minimal: { dhcp: ['actuator', 'engine', 'wire'], init: ['logd'] },
  sshd: { sshd: ['keys', 'listener', 'monitor', 'session', 'sftp', 'speaker'] },
  network: {
    auditd: ['reader'],
    getty: ['monitor', 'password', 'prompt'],
    init: ['logd'],
    ip: ['tool'],
    metadata: ['cloud', 'disks', 'writer'],
    modprobe: ['loader'],
    node_exporter: ['exporter'],
    ntp: ['asker', 'setter'],
    sshd: ['keys', 'listener'],
    storage: ['reader'],
    vsudd: ['forwarder'],
  },
  services: { 'qemu-ga': ['agent'] },
  logging: { init: ['sender'] },
  'dm-crypt': { 'dm-crypt': ['unlock'] },
  'secure-boot': { tpm: ['tool'] },
};

/** The roles that no boot has, as QEMU lacks their host. Tests of their packages compare them. */
export const ELSEWHERE: RoleNames = { metadata: ['vmware'], vmtoolsd: ['agent'] };

const packageOf = (name: string): string => join(import.meta.dirname, '../../pkg', name);

/** Returns the roles of a package, as its program reads them. */
export function rolesOf(name: string): Roles {
  const directory = packageOf(name);
  const [path = ''] = globSync('{,*/}roles.json', { cwd: directory });
  return JSON.parse(readFileSync(join(directory, path), 'utf8')) as Roles;
}

/** Numbers of the capabilities that roles keep (linux/capability.h). */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CHOWN: 0,
  FOWNER: 3,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
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
  'dm-crypt': { program: 'crypto', user: 0 },
  node_exporter: { program: 'node', user: 685 },
};

/** Returns the value of tools/probe's PROBE_AWAIT, for all processes of a boot with roles. */
export function awaited(boot: Boot): string {
  return confined(boot)
    .map(
      ([name, role, privileges]) =>
        `${processName(name, role, privileges)}:${filtersOf(name, privileges)}`,
    )
    .join(',');
}

/**
 * Returns the number of filters of a process with a role. The container has one, except for
 * children of PID 1, which are in none. The process has another one, unless it starts programs.
 */
function filtersOf(name: string, { programs }: Role): number {
  return (name === 'init' ? 0 : 1) + (programs === true ? 0 : 1);
}

/** Returns the name of a process: one that starts programs has that of its program. */
function processName(name: string, role: string, { programs }: Role): string {
  const program = PROGRAMS[name]?.program ?? name;
  return programs === true ? program : `${program}-${role}`;
}

/** Returns the roles of a boot with their packages. */
function confined(boot: Boot): [string, string, Role][] {
  return Object.entries(COMPARED[boot]).flatMap(([name, names]) => {
    const all = rolesOf(name);
    return names.map((role): [string, string, Role] => {
      const found = all[role];
      if (found === undefined) throw new Error(`${name} has no role ${role}`);
      return [name, role, found];
    });
  });
}

/** Returns the facts that tools/probe must print about the processes of a boot, in order. */
export function expectedFacts(boot: Boot): string[] {
  return confined(boot)
    .map(([name, role, privileges]) => factOf(name, role, privileges))
    .toSorted();
}

function factOf(name: string, role: string, privileges: Role): string {
  const set = capabilitySet(privileges);
  // The library sets ambient capabilities, which a role keeps when it begins the program anew.
  const ambient =
    privileges.programs === true ? capabilitySet({ ...privileges, capabilities: [] }) : set;
  const sets = `permitted=${set} effective=${set} ambient=${ambient}`;
  const { uid = PROGRAMS[name]?.user ?? 0, cpu = 'unlimited', files } = privileges;
  const who = `${processName(name, role, privileges)} uid=${uid} gid=${uid}`;
  const memory = privileges.programs === true ? 'unlimited' : 'bounded';
  const limits = `memory=${memory} cpu=${cpu} core=0 oom=${oomScore(name)}`;
  return `sandboxed ${who} ${sets} no_new_privs=1 filters=${filtersOf(name, privileges)} ${limits} files=${files.join(',')}`;
}

/** Returns the preference of the OOM killer for the processes of a package. */
function oomScore(name: string): string {
  if (name === 'init') return LOGD_OOM_SCORE;
  // Code of the disk packages has none.
  const path = join(packageOf(name), 'build.yml');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const [, score = DEFAULT_OOM_SCORE] = /^ {2}oomScoreAdj: (-?\d+)$/m.exec(text) ?? [];
  return score;
}

/** Between containerd's, -999, and that of logins (pkg/init/logdaemon.go). */
const LOGD_OOM_SCORE = '-900';

/** That of containers whose config does not set it (pkg/init/confine). */
const DEFAULT_OOM_SCORE = '500';

/**
 * Returns the probe's facts about the processes that a boot compares, and those expected. Both are
 * without open files: some processes open more of them while they run.
 */
export function comparedFacts(
  boot: Boot,
  facts: readonly string[],
): { readonly seen: readonly string[]; readonly expected: readonly string[] } {
  const expected = expectedFacts(boot).map(withoutFiles);
  const names = expected.map((fact) => fact.split(' ')[1]);
  const seen = facts
    .filter((fact) => fact.startsWith('sandboxed ') && names.includes(fact.split(' ')[1]))
    .map(withoutFiles);
  return { seen: seen.toSorted(), expected };
}

const withoutFiles = (fact: string): string => fact.replace(/ files=.*/, '');

/**
 * Files that every process has open: its log, and the event file descriptors of Go's timers. The
 * kernel opens PID 1's console in the initramfs, which PID 1 empties.
 */
const COMMON =
  /^(null|console|console \(deleted\)|fifo|pipe:\[\d+\]|.*-stdout|.*-stderr|.*\.log|anon_inode:\[event(poll|fd)\])$/;

/** Returns a fact of tools/probe without the files that every process has open. */
export function withoutCommon(fact: string): string {
  const [head, files = ''] = fact.split('files=');
  const own = files.split(',').filter((name) => !COMMON.test(name));
  return `${head}files=${own.join(',')}`;
}

/**
 * Returns the processes of pkg/sshd during a login of root that also transfers files. Each has
 * fields of proc_pid_status(5): name, users, permitted and effective capabilities, no_new_privs,
 * and the number of filters. One filter is the container's.
 */
export function expectedOfLogin(): string[] {
  const roles = rolesOf('sshd');
  return (COMPARED.sshd['sshd'] ?? []).map((name) => {
    const role = roles[name];
    if (role === undefined) throw new Error(`sshd has no role ${name}`);
    const set = capabilitySet(role);
    const users = Array<number>(4)
      .fill(role.uid ?? 0)
      .join(' ');
    const process = name === 'sftp' ? 'internal-sftp' : `sshd-${name}`;
    return `${process} ${users} ${set} ${set} 1 ${role.programs === true ? 1 : 2}`;
  });
}
