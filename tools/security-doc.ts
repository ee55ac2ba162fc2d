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

/**
 * Renders docs/security.md: the privileges of the packages below `pkg/`, from their build.yml and
 * roles.json files.
 */
export function securityDocument(root: string): string {
  const packages = globSync('pkg/*/build.yml', { cwd: root })
    .toSorted()
    .map((path) => {
      const file = { path, text: readFileSync(join(root, path), 'utf8') };
      return parseBuildYml(file, join(root, dirname(path)));
    });
  const hostPid = packages.filter(sharesPid).map(({ image }) => image);
  const rows = packages.map(row).filter((cells) => cells !== undefined);
  const isShared = HEAD.map((_, column) => new Set(rows.map((cells) => cells[column])).size === 1);
  const shared = HEAD.map((head, column) => `${head}: ${rows[0]?.[column] ?? ''}`);
  const own = <T>(cells: readonly T[]): T[] =>
    cells.filter((_, column) => isShared[column] === false);
  return `# Privileges of each package

<!-- Made by tools/security-doc.ts from pkg/*/build.yml and pkg/*/sandbox/roles.json; do not edit. -->

The \`build.yml\` of each package that runs as a container sets its privileges; an image config can
change them. All have their own mount namespace, all but ${codes(hostPid)} a PID namespace, and
those without \`SYS_ADMIN\` a cgroup namespace. None has a capability, device or writable path of
the machine beyond this table. Equal for all: ${shared.filter((_, column) => isShared[column] === true).join('; ')}.

${table(own(HEAD), rows.map(own))}

- \`host\`: the machine's own namespace.
- **machine paths** are writable unless marked \`ro\`.
- **masked**: the number of paths of \`/proc\` and \`/sys\` that are empty or read-only.
- **seccomp** \`default\` is described in [guest.md](guest.md#confinement), with the other restrictions.
- **devices** such as \`block r\` cover every device of the type: \`r\` to read, \`w\` to write, \`m\` to create its node.

## Packages with several processes

These open what they need, then split into processes with fewer privileges than their container.
Each process has its own user, \`no_new_privs\`, and a seccomp filter that kills it at any other
system call. The program reads its privileges from the file this table is made from, and tests
compare them with \`/proc\` of a booted machine.

${table(
  ROLES_HEAD,
  globSync('pkg/*/sandbox/roles.json', { cwd: root })
    .toSorted()
    .flatMap((path) => roleRows(root, path)),
)}

Every process also has \`/dev/null\`, the log and the Go timers' descriptors open. It may make the
system calls that the Go runtime needs: futex, epoll_pwait, nanosleep, sched_yield, memory that is
neither executable nor file-backed, signal masks, clocks, exit. None can open a file, connect,
create a process or thread, or send a signal.
`;
}

const ROLES_HEAD = ['process', 'task', 'user', 'capabilities', 'open', 'system calls'];

interface Role {
  readonly description: string;
  readonly uid: number;
  readonly capabilities: readonly string[];
  readonly files: readonly string[];
  readonly syscalls: readonly string[];
}

function roleRows(root: string, path: string): string[][] {
  const roles = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, Role>;
  return Object.entries(roles).map(
    ([name, { description, uid, capabilities, files, syscalls }]) => [
      `\`${path.split('/')[1] ?? ''}\` ${name}`,
      description,
      String(uid),
      codes(capabilities),
      codes(files),
      codes(syscalls),
    ],
  );
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
  'machine paths',
  'devices',
  'masked',
];

function sharesPid({ file, config }: PackageSpec): boolean {
  return config !== undefined && settingsOf(file.path, config).pid === 'host';
}

function settingsOf(path: string, config: NonNullable<PackageSpec['config']>): Settings {
  return parseLabel({ path, text: imageConfigLabel(config) });
}

function row({ image, file, config }: PackageSpec): string[] | undefined {
  if (config === undefined) return undefined;
  const settings = settingsOf(file.path, config);
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
    codes(settings.binds?.map(bindSource)),
    codes([...(settings.devices ?? []).map(({ path }) => path), ...allowedDevices(settings)]),
    String((settings.maskedPaths?.length ?? 0) + (settings.readonlyPaths?.length ?? 0)),
  ];
}

/** With CAP_SYS_ADMIN, a container without a filter of its own gets none. */
function seccomp({ seccomp: own, capabilities }: Settings): string {
  if (own !== undefined) return 'own';
  return capabilities?.includes('CAP_SYS_ADMIN') === true ? 'none' : 'default';
}

function limit(value: unknown, unit = 1): string {
  return typeof value === 'number' ? String(value / unit) : 'none';
}

/** Returns the allowed devices without a node in the container, such as `block r`. */
function allowedDevices({ resources }: Settings): string[] {
  const types: Readonly<Record<string, string>> = { b: 'block', c: 'character' };
  return (resources?.devices ?? [])
    .filter(({ allow }) => allow)
    .map(({ type, major, minor, access }) => {
      const number = major === undefined ? '' : ` ${major}:${minor ?? '*'}`;
      return `${types[type ?? ''] ?? 'all'}${number} ${access ?? 'rwm'}`;
    });
}

function bindSource({ source, options = [] }: NonNullable<Settings['binds']>[number]): string {
  return `${source ?? ''}${options.includes('ro') ? ' ro' : ''}`;
}

function codes(names: readonly string[] = []): string {
  return names.length === 0 ? '–' : names.map((name) => `\`${name}\``).join(', ');
}
