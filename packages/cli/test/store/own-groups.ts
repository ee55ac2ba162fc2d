import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';

/** The controllers of limits; see cgroups(7). */
const CONTROLLERS = ['cpu', 'memory', 'pids'] as const;
const MOUNT = '/sys/fs/cgroup';

/**
 * Control groups, of version 1 or 2, for the commands of a test. They contain all processes that
 * these start and all groups of their RUNs, and none of other builds on this machine.
 */
export class OwnGroups implements Disposable {
  readonly #tops: readonly string[];
  readonly #joins: readonly string[];

  constructor(name: string) {
    const parents = parentsOf(readFileSync('/proc/self/cgroup', 'utf8'));
    this.#tops = parents.map(({ directory }) => join(directory, name));
    this.#joins = parents.map(({ directory, version }) => {
      const top = join(directory, name);
      mkdirSync(top);
      if (version === 1) return join(top, 'cgroup.procs');
      // Groups of RUNs are only created in a group that delegates, which itself has no processes.
      writeFileSync(
        join(top, 'cgroup.subtree_control'),
        CONTROLLERS.map((one) => `+${one}`).join(' '),
      );
      mkdirSync(join(top, COMMANDS));
      return join(top, COMMANDS, 'cgroup.procs');
    });
  }

  /** The start of a command line that runs the rest of it in the groups. */
  get argv(): readonly string[] {
    const joins = this.#joins.map((file) => `echo 0 > ${file}`).join(' && ');
    return ['sh', '-c', `${joins} && exec "$@"`, 'sh'];
  }

  /** Returns the groups of RUNs and the processes; empty after a clean end. */
  contents(): readonly string[] {
    return [...new Set(this.#tops.flatMap((top) => contentsOf(top)))].toSorted();
  }

  [Symbol.dispose](): void {
    for (const top of this.#tops) {
      if (existsSync(join(top, COMMANDS))) rmdirSync(join(top, COMMANDS));
      rmdirSync(top);
    }
  }
}

/** The group of the commands in version 2. */
const COMMANDS = 'commands';

interface Parent {
  readonly directory: string;
  readonly version: 1 | 2;
}

/** Returns the directories in which the builds of this process create groups. */
function parentsOf(own: string): readonly Parent[] {
  const parents: Parent[] = [];
  for (const line of own.trim().split('\n')) {
    const [, names = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === '') {
      const directory = delegating(path);
      if (directory !== undefined) parents.push({ directory, version: 2 });
    } else if (CONTROLLERS.some((one) => names.split(',').includes(one))) {
      // In a container, the path may be that on its host.
      const directory = [join(MOUNT, names, path), join(MOUNT, names)].find(existsSync);
      if (directory !== undefined) parents.push({ directory, version: 1 });
    }
  }
  if (parents.length === 0) throw new Error('no control group can be created here');
  return parents;
}

/** Returns the nearest group of version 2 at or above a path that delegates all controllers. */
function delegating(path: string): string | undefined {
  for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
    const file = join(MOUNT, at, 'cgroup.subtree_control');
    const names = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : [];
    if (CONTROLLERS.every((one) => names.includes(one))) return join(MOUNT, at);
    if (at === '' || at === '/') return undefined;
  }
}

function contentsOf(directory: string): readonly string[] {
  try {
    const pids = readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').slice(0, -1);
    const below = readdirSync(directory, { withFileTypes: true })
      .filter((item) => item.isDirectory())
      .map(({ name }) => name);
    return [
      ...pids.map((pid) => `process ${pid}: ${commandOf(pid)}`),
      ...below.flatMap((name) => [
        ...(name === COMMANDS ? [] : [`group ${name}`]),
        ...contentsOf(join(directory, name)),
      ]),
    ];
  } catch (error) {
    // It was removed meanwhile.
    if (isErrno(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 200);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return 'ended';
    throw error;
  }
}
