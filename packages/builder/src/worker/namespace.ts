import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { LktError } from '@lkt/core';
import type { BuildEnvironment } from '../variation.ts';
import { findOnPath } from '../system/tools.ts';

/** How a worker gets a mount namespace of its own. */
export interface Namespace {
  /** What to start; the worker follows. */
  readonly argv: readonly string[];
  /** Root of the machine, not of a user namespace. */
  readonly isRoot: boolean;
  /** Whether more than one user exists in it. */
  readonly hasUsers: boolean;
  /** Names what the owners of files mean in it. */
  readonly owner: string;
}

/**
 * The namespace of this user. As root: of mounts only. Else a user namespace, with the range of ids in /etc/subuid when
 * newuidmap is installed and there is one, else with one user, which is enough where everything is root's.
 */
export function chooseNamespace(uid: number): Namespace {
  if (uid === 0) {
    const argv = ['unshare', '--mount', '--propagation', 'private'];
    return { argv, isRoot: true, hasUsers: true, owner: '0' };
  }
  const argv = ['unshare', '--user', '--mount', '--map-root-user'];
  if (!hasSubordinateIds(uid)) return { argv, isRoot: false, hasUsers: false, owner: String(uid) };
  return { argv: [...argv, '--map-auto'], isRoot: false, hasUsers: true, owner: `${uid}+` };
}

/** The same in another world, whose surroundings the worker gets from the programs that start it. */
export function namespaceIn(environment: BuildEnvironment, uid: number): Namespace {
  const usual = chooseNamespace(uid);
  const [unshare = '', ...flags] = usual.argv;
  // Every user and group there is, under its own number.
  const everyone = '0:0:4294967295';
  const withoutRoot = environment.userNamespace && usual.isRoot;
  const users = withoutRoot
    ? ['--user', `--map-users=${everyone}`, `--map-groups=${everyone}`]
    : [];
  const argv = [
    'sh',
    '-c',
    `umask ${environment.umask.toString(8)}; exec "$@"`,
    'sh',
    ...(environment.cpu === undefined ? [] : ['taskset', '--cpu-list', String(environment.cpu)]),
    ...(environment.fixedAddresses ? ['setarch', '--addr-no-randomize'] : []),
    unshare,
    '--uts',
    ...users,
    ...flags,
  ];
  return withoutRoot ? { ...usual, argv, isRoot: false } : { ...usual, argv };
}

function hasSubordinateIds(uid: number): boolean {
  if (findOnPath('newuidmap') === undefined || findOnPath('newgidmap') === undefined) return false;
  const name = nameOf();
  return ['/etc/subuid', '/etc/subgid'].every((path) =>
    read(path)
      .split('\n')
      .some(
        (line) => line.startsWith(`${uid}:`) || (name !== undefined && line.startsWith(`${name}:`)),
      ),
  );
}

function nameOf(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in passwd.
    return undefined;
  }
}

/** What to tell a user whose machine does not allow the namespaces. `said` is unshare's message. */
export function namespaceError(uid: number, said: string): LktError {
  if (uid === 0) {
    return new LktError('HOST_UNSUPPORTED', 'root may not make a mount namespace here', {
      fix: 'in a container, give it the right to mount (Docker: --privileged)',
      detail: said,
    });
  }
  return new LktError(
    'HOST_UNSUPPORTED',
    'user namespaces are forbidden here, and a build without root needs one',
    {
      fix:
        settingToChange() ??
        'in a container, allow unshare (Docker: --security-opt seccomp=unconfined); or build as root',
      detail: said,
    },
  );
}

/** The settings that forbid user namespaces: Debian's and upstream's, a count, Ubuntu's. */
const SETTINGS = [
  { path: 'kernel/unprivileged_userns_clone', forbids: '0', allow: '1' },
  { path: 'user/max_user_namespaces', forbids: '0', allow: '15000' },
  { path: 'kernel/apparmor_restrict_unprivileged_userns', forbids: '1', allow: '0' },
] as const;

function settingToChange(): string | undefined {
  const found = SETTINGS.find(({ path, forbids }) => read(`/proc/sys/${path}`).trim() === forbids);
  if (found === undefined) return undefined;
  return `allow them as root with: sysctl -w ${found.path.replace('/', '.')}=${found.allow}; or build as root`;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
