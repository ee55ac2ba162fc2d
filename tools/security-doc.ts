import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  imageConfigLabel,
  type PackageSpec,
  parseBuildYml,
  parseLabel,
  type Settings,
} from '@lkt/pkg';
import { table } from './table.ts';

/** What the containers of the packages below `pkg/` may do, from their build.yml and roles.json files: docs/security.md. */
export function securityDocument(root: string): string {
  const packages = globSync('pkg/*/build.yml', { cwd: root })
    .toSorted()
    .map((path) => {
      const file = { path, text: readFileSync(join(root, path), 'utf8') };
      return parseBuildYml(file, join(root, dirname(path)));
    });
  const rows = packages.map(row).filter((cells) => cells !== undefined);
  return `# What each daemon may do

<!-- Made by tools/security-doc.ts from pkg/*/build.yml and pkg/*/sandbox/roles.json; do not edit. -->

Each package that runs as a container says in its \`build.yml\` what it may do; an image config can give more or less. All have PID,
mount and cgroup namespaces of their own, and no capability, device or writable place of the machine that is not listed here.

${table(HEAD, rows)}

\`host\` stands for the machine's own. A place is writable unless \`ro\` stands behind it. Masked are paths of \`/proc\` and \`/sys\` that
look empty, and those that can only be read. The default of seccomp is in [guest.md](guest.md), with what else is closed in every container.
A device written as \`block r\` is any of that type: for reading, \`w\` for writing, \`m\` for making its node.

## Packages that divide themselves

These open what they need and then become processes that have less than their container: each a user of its own, \`no_new_privs\`, and a
seccomp filter that ends it at any other system call. The program reads its privileges from the file that this table is made from, and the
tests compare it with \`/proc\` of a machine that has booted.

${table(
  ROLES_HEAD,
  globSync('pkg/*/sandbox/roles.json', { cwd: root })
    .toSorted()
    .flatMap((path) => roleRows(root, path)),
)}

Open are also \`/dev/null\`, the log and what the timers of Go wait with. Beside the system calls listed all have those without which Go does
not run: futex, epoll_pwait, nanosleep, sched_yield, memory that is neither executable nor a file's, signal masks, clocks, exit. None can open,
connect, make a process or a thread, or send a signal.
`;
}

const ROLES_HEAD = ['process', 'what it does', 'user', 'capabilities', 'open', 'system calls'];

interface Role {
  readonly does: string;
  readonly uid: number;
  readonly capabilities: readonly string[];
  readonly files: readonly string[];
  readonly syscalls: readonly string[];
}

function roleRows(root: string, path: string): string[][] {
  const roles = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, Role>;
  return Object.entries(roles).map(([name, { does, uid, capabilities, files, syscalls }]) => [
    `\`${path.split('/')[1] ?? ''}\` ${name}`,
    does,
    String(uid),
    codes(capabilities),
    codes(files),
    codes(syscalls),
  ]);
}

const HEAD = [
  'package',
  'capabilities',
  'user',
  'network',
  'IPC, UTS',
  'root',
  'no new privileges',
  'seccomp',
  'memory, MiB',
  'tasks',
  'places of the machine',
  'devices',
  'masked',
];

function row({ image, file, config }: PackageSpec): string[] | undefined {
  if (config === undefined) return undefined;
  const label = { path: file.path, text: imageConfigLabel(config) };
  const settings = parseLabel(label);
  return [
    `\`${image}\``,
    codes(settings.capabilities?.map((name) => name.replace(/^CAP_/, ''))),
    typeof settings.uid === 'object' ? settings.uid.name : String(settings.uid ?? 0),
    settings.net ?? 'host',
    `${settings.ipc ?? 'host'}, ${settings.uts ?? 'host'}`,
    settings.readonly === true ? 'read-only' : 'writable, in memory',
    settings.noNewPrivileges === true ? 'yes' : 'no',
    seccomp(settings),
    limit(settings.resources?.memory?.['limit'], 2 ** 20),
    limit(settings.resources?.pids?.['limit']),
    codes(settings.binds?.map(place)),
    codes([...(settings.devices ?? []).map(({ path }) => path), ...leave(settings)]),
    String((settings.maskedPaths?.length ?? 0) + (settings.readonlyPaths?.length ?? 0)),
  ];
}

/** A container that has CAP_SYS_ADMIN gets no filter that it does not bring. */
function seccomp({ seccomp: own, capabilities }: Settings): string {
  if (own !== undefined) return 'own';
  return capabilities?.includes('CAP_SYS_ADMIN') === true ? 'none' : 'default';
}

function limit(value: unknown, unit = 1): string {
  return typeof value === 'number' ? String(value / unit) : 'none';
}

/** Devices without a node in the container, as `block r`: all of the type, for reading. */
function leave({ resources }: Settings): string[] {
  const types: Readonly<Record<string, string>> = { b: 'block', c: 'character' };
  return (resources?.devices ?? [])
    .filter(({ allow }) => allow)
    .map(({ type, major, minor, access }) => {
      const number = major === undefined ? '' : ` ${major}:${minor ?? '*'}`;
      return `${types[type ?? ''] ?? 'all'}${number} ${access ?? 'rwm'}`;
    });
}

function place({ source, options = [] }: NonNullable<Settings['binds']>[number]): string {
  return `${source ?? ''}${options.includes('ro') ? ' ro' : ''}`;
}

function codes(names: readonly string[] = []): string {
  return names.length === 0 ? '–' : names.map((name) => `\`${name}\``).join(', ');
}
