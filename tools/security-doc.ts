import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  imageConfigLabel,
  type PackageSpec,
  parseBuildYml,
  parseLabel,
  type Settings,
} from '@lkt/pkg';

/**
 * Renders docs/security.md: the privileges of the packages below `pkg/`, from their build.yml and
 * roles.json files.
 */
export function securityDocument(root: string): string {
  const packages = packagesOf(root);
  const rows = packages.map(row).filter((cells) => cells !== undefined);
  const usual = usualOf(rows);
  const texts = new Map(rows.map(({ name, cells }) => [name, privileges(cells, usual)]));
  const roles = rolesOf(root);
  const names = [...new Set([...texts.keys(), ...roles.keys()])].toSorted();
  const settings = packages.flatMap(({ file, config }) =>
    config === undefined ? [] : [settingsOf(file.path, config)],
  );
  return `# Privileges of each package

<!-- Made by tools/security-doc.ts from the build.yml and roles.json files of pkg; do not edit. -->

Each package that runs as a container has these privileges, unless its item says otherwise:

- ${privileges(usual)}

Each has its own mount namespace. None has a capability, device or writable path of the machine beyond its
item. Its \`build.yml\` has the reasons; an image config can change all of it.

- network to cgroup are namespaces; \`host\` is the machine's own.
- **seccomp** \`default\`, the words after it, and other restrictions are in [guest.md](guest.md#confinement).
- **machine paths** are writable unless marked \`ro\`.
- **devices** such as \`block r\` are all of the type: \`r\` to read, \`w\` to write, \`m\` to create nodes.
- **masked**: the number of paths of \`/proc\` and \`/sys\` that are empty or read-only. The usual ones are
  empty: ${mostFrequent(settings.map(({ maskedPaths }) => codes(maskedPaths)))}; read-only:
  ${mostFrequent(settings.map(({ readonlyPaths }) => codes(readonlyPaths)))}.

## Roles of processes

The programs that have roles below open what they need, then confine themselves with \`pkg/sandbox\`, many
as several processes. Every process has \`no_new_privs\`, a seccomp filter that kills it at any other system
call, and Landlock: it opens only the listed paths, uses only the listed TCP ports, and signals no other
process. Exceptions are those that start programs, which would inherit both; and \`sftp\`, which may open
all that its login may, and has no Landlock. Tests compare them with \`/proc\` of booted machines, and
\`vmtoolsd\` and \`vmware\` of \`metadata\` under an emulator of VMware.

A process has only the capabilities, paths and TCP ports of its item. Without a user, it has that of
its container.

- **Open**: descriptors from its start. All also have \`/dev/null\`, the log, and those of Go's timers.
- **System calls**: their number, with those of the Go runtime: futex, epoll_pwait, nanosleep, sched_yield,
  signal masks, clocks, exit, and memory that is neither executable nor a file. \`roles.json\` of the package
  lists the others.
- **Threads**: it may start threads. None can start a process or program, or send a signal.
- **Memory**: the limit beyond what a Go program has at its start.

## Packages

${names.map((name) => packageSection(name, texts.get(name), roles.get(name) ?? [])).join('\n\n')}

## Programs in C

All else in a guest is Go or the kernel. No C program reads the network, except what the config adds
as its own service (\`valkey\`, \`docker\`).

- \`busybox\` in \`login\`, \`getty\`, \`sshd\`: the shell and the commands of a login, after the login. The
  archive has no POSIX shell in Go.
- \`e2fsck\` in \`mount\`: repairs an ext4 file system before the kernel mounts it. It has no capability and
  opens no other disk.
- \`mke2fs\`, \`mkfs.btrfs\`, \`mkfs.xfs\` in \`format\`, \`dm-crypt\`: write file systems to empty disks, once.
- \`crun\`, instead of \`runc\`, where size counts; and \`libseccomp\` in \`runc\`, which compiles filters.
- \`iptables\` in \`docker\`: Docker starts it.
- QEMU in \`binfmt\`: runs programs of other architectures in their containers.
- \`valkey\`: a server of the archive, without privileges.
`;
}

/** Returns the part about one package, under its name, to which its page links. */
function packageSection(
  name: string,
  privilegesText: string | undefined,
  roles: readonly string[],
): string {
  const text = privilegesText === undefined ? [] : [`${capitalized(privilegesText)}.`];
  const items = roles.length === 0 ? [] : [roles.join('\n')];
  return [`### ${name}`, ...text, ...items].join('\n\n');
}

/** Returns the items of roles by the names of their packages. */
function rolesOf(root: string): ReadonlyMap<string, readonly string[]> {
  const paths = globSync('pkg/*/{,*/}roles.json', { cwd: root }).toSorted();
  const groups = Map.groupBy(paths, (path) => path.split('/')[1] ?? '');
  return new Map(
    [...groups].map(([name, files]) => [name, files.flatMap((path) => roleItems(root, path))]),
  );
}

function packagesOf(root: string): readonly PackageSpec[] {
  return globSync('pkg/*/build.yml', { cwd: root })
    .toSorted()
    .map((path) => {
      const file = { path, text: readFileSync(join(root, path), 'utf8') };
      return parseBuildYml(file, join(root, dirname(path)));
    });
}

function usualOf(rows: readonly Row[]): readonly string[] {
  return PRIVILEGES.map((name, column) =>
    LISTS.has(name) ? codes([]) : mostFrequent(rows.map(({ cells }) => cells[column])),
  );
}

interface Role {
  readonly description: string;
  readonly uid?: number;
  readonly capabilities?: readonly string[];
  readonly files?: readonly string[];
  readonly syscalls?: readonly string[];
  readonly threads?: boolean;
  readonly programs?: boolean;
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  readonly connect?: readonly number[];
  readonly bind?: readonly number[];
  readonly memory?: number;
  readonly cpu?: number;
}

function roleItems(root: string, path: string): string[] {
  const roles = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, Role>;
  const own = readFileSync(join(root, 'pkg/sandbox/syscalls.go'), 'utf8');
  return Object.entries(roles).map(
    ([name, role]) => `- **${name}** ${role.description}. ${roleText(role, own)}`,
  );
}

/**
 * Returns the number of system calls that a role may make, with any arguments.
 * @param source the file with the calls that all roles have
 */
function syscallCount({ syscalls = [], threads }: Role, source: string): number {
  const listed = (variable: string): readonly string[] => {
    const [, list] = new RegExp(`^var ${variable} = \\[\\]string{([^}]+)}`, 'm').exec(source) ?? [];
    if (list === undefined) throw new Error(`pkg/sandbox/syscalls.go has no ${variable}`);
    return [...list.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name);
  };
  const all = [
    ...listed('runtimeSyscalls'),
    ...(threads === true ? listed('threadSyscalls') : []),
    ...syscalls,
  ];
  // A rule with arguments is named "socket inet". clone3 fails.
  const names = new Set(all.map((name) => name.replace(/ .*/, '')));
  names.delete('clone3');
  return names.size;
}

/** Returns the privileges of a role, without those that it has not. */
function roleText(role: Role, source: string): string {
  const lists: [string, readonly (number | string)[] | undefined][] = [
    ['user', role.uid === undefined ? undefined : [role.uid]],
    ['capabilities', role.capabilities],
    ['open', role.files],
    ['reads', role.read],
    ['writes', role.write],
    ['connects to TCP ports', role.connect],
    ['binds TCP ports', role.bind],
  ];
  const texts = lists
    .filter(([, values]) => values !== undefined && values.length > 0)
    .map(([name, values = []]) =>
      typeof values[0] === 'number'
        ? `${name} ${values.join(', ')}`
        : `${name} ${codes(values.map(String))}`,
    );
  if (role.syscalls !== undefined && role.syscalls.length > 0)
    texts.push(`${syscallCount(role, source)} system calls`);
  if (role.threads === true) texts.push('threads');
  if (role.programs === true) texts.push('starts programs');
  if (role.memory !== undefined) texts.push(`memory ${role.memory} MiB`);
  if (role.cpu !== undefined) texts.push(`processor time ${role.cpu} s`);
  return texts.map(capitalized).join('. ');
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** Returns the privileges that differ from the usual ones, each with its name. */
function privileges(cells: readonly string[], usual: readonly string[] = []): string {
  const named = PRIVILEGES.map((name, column) => `${name} ${cells[column] ?? ''}`);
  const differing = named.filter((_, column) => cells[column] !== usual[column]);
  return differing.length === 0 ? 'none but the usual ones' : differing.join('; ');
}

/** Returns the most frequent text; of equally frequent ones, the first. */
function mostFrequent(texts: readonly (string | undefined)[]): string {
  const groups = [...Map.groupBy(texts, (text) => text ?? '')];
  const [[text] = ['']] = groups.toSorted(([, one], [, other]) => other.length - one.length);
  return text;
}

/** The privileges that are lists; usually a package has none of them. */
const LISTS: ReadonlySet<string> = new Set(['capabilities', 'machine paths', 'devices']);

const PRIVILEGES = [
  'capabilities',
  'user',
  'network',
  'IPC',
  'UTS',
  'PID',
  'cgroup',
  'root',
  'new privileges',
  'seccomp',
  'memory',
  'tasks',
  'machine paths',
  'devices',
  'masked',
];

/** Reports whether init leaves out some restrictions: docs/guest.md#confinement. */
function isOpen({ capabilities, allow = [] }: Settings): boolean {
  const isAdmin = capabilities?.includes('CAP_SYS_ADMIN') === true;
  return isAdmin && (allow.includes('mount') || allow.includes('kernel'));
}

function settingsOf(path: string, config: NonNullable<PackageSpec['config']>): Settings {
  return parseLabel({ path, text: imageConfigLabel(config) });
}

interface Row {
  readonly name: string;
  /** The texts of PRIVILEGES. */
  readonly cells: readonly string[];
}

function row({ image, file, config }: PackageSpec): Row | undefined {
  if (config === undefined) return undefined;
  const settings = settingsOf(file.path, config);
  const cells = [
    codes(settings.capabilities?.map((name) => name.replace(/^CAP_/, ''))),
    typeof settings.uid === 'object' ? settings.uid.name : String(settings.uid ?? 0),
    settings.net ?? 'host',
    settings.ipc ?? 'new',
    settings.uts ?? 'host',
    settings.pid ?? 'new',
    isOpen(settings) ? 'host' : 'new',
    settings.readonly === true ? 'read-only' : 'writable, in memory',
    settings.noNewPrivileges === true ? 'none' : 'allowed',
    seccomp(settings),
    limit(settings.resources?.memory?.['limit'], 2 ** 20, ' MiB'),
    limit(settings.resources?.pids?.['limit']),
    codes([...(settings.binds ?? []).map(bindSource), ...writableSysfs(settings)]),
    codes([...(settings.devices ?? []).map(({ path }) => path), ...allowedDevices(settings)]),
    String((settings.maskedPaths?.length ?? 0) + (settings.readonlyPaths?.length ?? 0)),
  ];
  return { name: image, cells };
}

function seccomp({ seccomp: own, allow = [] }: Settings): string {
  if (own !== undefined) return 'own';
  return allow.length === 0 ? 'default' : `default and ${codes(allow)}`;
}

function limit(value: unknown, unit = 1, name = ''): string {
  return typeof value === 'number' && value >= 0 ? `${value / unit}${name}` : 'unlimited';
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

/** Returns the paths where a container may write attributes of the kernel by a mount of its own. */
function writableSysfs({ mounts = [] }: Settings): string[] {
  return mounts
    .filter(({ type, options = [] }) => type === 'sysfs' && options.includes('rw'))
    .map(({ destination }) => destination);
}

function codes(names: readonly string[] = []): string {
  return names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(', ');
}
