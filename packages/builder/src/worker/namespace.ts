import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { BuildEnvironment } from '../variation.ts';
import { CAPABILITIES } from '../sandbox/sandbox.ts';
import { type ProcessRights, readProcessRights } from '../system/process-rights.ts';
import { findOnPath } from '../system/tools.ts';

/** The mount namespace of a worker. */
export interface Namespace {
  /** Command that makes the namespace; the worker's command follows. */
  readonly argv: readonly string[];
  /** Whether its root is root of the host. */
  readonly isRoot: boolean;
  /** Whether more than one user exists in it. */
  readonly hasUsers: boolean;
  /**
   * Name of the id mapping: layers with other owners of files are separate. The user id, with `+`
   * if more ids are mapped; for root of a user namespace `0-` or `0+` and its id outside.
   */
  readonly owner: string;
}

/** A namespace by the arguments of unshare(1). */
interface UnsharedNamespace extends Omit<Namespace, 'argv'> {
  readonly flags: readonly string[];
}

// capabilities.h
const [CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SETFCAP] = [6, 7, 12, 21, 31];
/** The capabilities that root needs to build without a user namespace: a RUN's and the worker's. */
const ROOT_CAPABILITIES = [...CAPABILITIES, CAP_NET_ADMIN, CAP_SYS_ADMIN];
/** The capabilities that root needs to map all its ids. */
const MAPPING_CAPABILITIES = [CAP_SETGID, CAP_SETUID, CAP_SETFCAP];

/**
 * Returns the namespace for a user. Root gets a mount namespace. Others, and root of a container
 * that lacks capabilities, get a user namespace too: with all their ids if they can map them (for a
 * user those of /etc/subuid, if newuidmap is installed), else with one user, which suffices if root
 * owns all files.
 */
export function chooseNamespace(uid: number, environment?: BuildEnvironment): Namespace {
  const { flags, ...usual } = uid === 0 ? rootNamespace() : userNamespace(uid);
  return environment === undefined
    ? { ...usual, argv: unshareCommand(flags) }
    : variedNamespace({ ...usual, flags }, environment);
}

/** Reports whether a user is root of the host, with all capabilities that a build uses. */
export function isRootOfHost(uid: number): boolean {
  return uid === 0 && rootNamespace().isRoot;
}

function rootNamespace(): UnsharedNamespace {
  const rights = readProcessRights();
  const { users, groups, isInitial, canSetGroups } = rights;
  const mount = ['--mount', '--propagation', 'private'];
  const isPrivileged = rights.has(ROOT_CAPABILITIES);
  if (isPrivileged && isInitial) return { flags: mount, isRoot: true, hasUsers: true, owner: '0' };
  const many = [users, groups].every((ranges) => ranges.some(({ count }) => count > 1));
  const hasUsers = many && canSetGroups && (isPrivileged || rights.has(MAPPING_CAPABILITIES));
  const owner = `0${hasUsers ? '+' : '-'}${users[0]?.outside ?? 0}`;
  if (isPrivileged) return { flags: mount, isRoot: false, hasUsers, owner };
  const all = [
    ...users.map(({ first, count }) => `--map-users=${first}:${first}:${count}`),
    ...groups.map(({ first, count }) => `--map-groups=${first}:${first}:${count}`),
  ];
  const flags = ['--user', ...(hasUsers ? all : ['--map-root-user']), ...mount];
  return { flags, isRoot: false, hasUsers, owner };
}

function userNamespace(uid: number): UnsharedNamespace {
  const flags = ['--user', '--mount', '--map-root-user'];
  if (!canMapSubordinateIds(uid, readProcessRights()))
    return { flags, isRoot: false, hasUsers: false, owner: String(uid) };
  return { flags: [...flags, '--map-auto'], isRoot: false, hasUsers: true, owner: `${uid}+` };
}

/**
 * Returns the namespace for a varied environment, which the programs that start the worker set up.
 */
function variedNamespace(
  { flags, ...usual }: UnsharedNamespace,
  environment: BuildEnvironment,
): Namespace {
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
    ...unshareCommand(['--uts', ...users, ...flags]),
  ];
  return withoutRoot ? { ...usual, argv, isRoot: false } : { ...usual, argv };
}

/**
 * Returns a command that starts unshare. If ids are mapped, unshare first starts a process for
 * that, which waits for ever, and holds its pipes open, where user namespaces are forbidden. So an
 * unshare without that process is tried first.
 */
function unshareCommand(flags: readonly string[]): readonly string[] {
  const command = ['unshare', ...flags];
  const isMapping = flags.some((flag) => flag === '--map-auto' || flag.startsWith('--map-users='));
  return isMapping ? ['sh', '-c', 'unshare --user true && exec "$@"', 'sh', ...command] : command;
}

/**
 * Reports whether newuidmap can map the ids of /etc/subuid. It is setuid root, needs a capability
 * that Docker's containers lack, and rejects users without a name.
 */
function canMapSubordinateIds(uid: number, rights: ProcessRights): boolean {
  if (findOnPath('newuidmap') === undefined || findOnPath('newgidmap') === undefined) return false;
  if (rights.noNewPrivileges || !rights.canGain(CAP_SYS_ADMIN)) return false;
  const name = nameOf();
  if (name === undefined) return false;
  return ['/etc/subuid', '/etc/subgid'].every((path) =>
    read(path)
      .split('\n')
      .some((line) => line.startsWith(`${uid}:`) || line.startsWith(`${name}:`)),
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

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
