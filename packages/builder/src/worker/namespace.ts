import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { LktError } from '@lkt/core';
import type { BuildEnvironment } from '../variation.ts';
import { findOnPath } from '../system/tools.ts';

/** The mount namespace of a worker. */
export interface Namespace {
  /** Command that makes the namespace; the worker's command follows. */
  readonly argv: readonly string[];
  /** Whether its root is root of the host. */
  readonly isRoot: boolean;
  /** Whether more than one user exists in it. */
  readonly hasUsers: boolean;
  /** Name of the id mapping: layers with other owners of files are separate. */
  readonly owner: string;
}

/**
 * Returns the namespace for a user. Root gets a mount namespace. Others get a user namespace too:
 * with their ids of /etc/subuid if newuidmap is installed, else with one user, which suffices if
 * root owns all files.
 */
export function chooseNamespace(uid: number, environment?: BuildEnvironment): Namespace {
  const usual = usualNamespace(uid);
  return environment === undefined ? usual : variedNamespace(usual, environment);
}

function usualNamespace(uid: number): Namespace {
  if (uid === 0) {
    const argv = ['unshare', '--mount', '--propagation', 'private'];
    return { argv, isRoot: true, hasUsers: true, owner: '0' };
  }
  const argv = ['unshare', '--user', '--mount', '--map-root-user'];
  if (!hasSubordinateIds(uid)) return { argv, isRoot: false, hasUsers: false, owner: String(uid) };
  return { argv: [...argv, '--map-auto'], isRoot: false, hasUsers: true, owner: `${uid}+` };
}

/**
 * Returns the namespace for a varied environment, which the programs that start the worker set up.
 */
function variedNamespace(usual: Namespace, environment: BuildEnvironment): Namespace {
  const [unshare = '', ...flags] = usual.argv;
  // Maps every user and group to itself.
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

/** Returns the error for a machine that forbids the namespaces. `said` is unshare's message. */
export function namespaceError(uid: number, said: string): LktError {
  if (uid === 0) {
    return new LktError('HOST_UNSUPPORTED', 'root may not make a mount namespace here', {
      fix: 'in a container, allow it to mount (Docker: --privileged)',
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
