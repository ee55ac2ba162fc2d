import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from '@lkt/core/errors';
import type { Limits } from '../limits.ts';

/** A resource that a control group can limit. */
type Controller = 'pids' | 'memory' | 'cpu';

/** The control group of one command: one directory in version 2, two or three in version 1. */
export interface CommandGroup {
  /** A process joins the group by writing 0 into each of these files. */
  readonly joins: readonly string[];
  readonly controllers: ReadonlySet<Controller>;
  /** Returns the limit that a process of the group has reached. */
  exceeded(): 'pids' | 'memory' | undefined;
  /** Removes the group once its processes have ended; `Cgroups.close` waits for that. */
  remove(): void;
}

/** Attempts to remove a group while its last processes end, and the pause between them. */
const [TRIES, PAUSE_MS] = [200, 25];

/**
 * Creates control groups below the group of this process, or below its nearest ancestor that
 * delegates the controllers. Supports versions 1 and 2 and hybrid hierarchies; see cgroups(7).
 *
 * If this process is killed, a small janitor process removes the groups.
 */
export class Cgroups {
  readonly #prefix = `lkt-${randomName()}-`;
  readonly #homes: readonly Home[];
  readonly #removing = new Set<Promise<void>>();
  #janitor: ChildProcess | undefined;
  #count = 0;

  constructor() {
    this.#homes = findHomes();
  }

  /**
   * Creates a group that enforces limits on a command. Returns undefined if none can be enforced.
   */
  create(limits: Limits): CommandGroup | undefined {
    const wanted = new Map<Controller, number>();
    if (limits.pids !== undefined) wanted.set('pids', limits.pids);
    if (limits.memory !== undefined) wanted.set('memory', limits.memory);
    if (limits.cpus !== undefined) wanted.set('cpu', limits.cpus);
    const name = this.#prefix + String((this.#count += 1));
    const made: { readonly directory: string; readonly home: Home }[] = [];
    const controllers = new Set<Controller>();
    for (const home of this.#homes) {
      const here = home.controllers.filter((one) => wanted.has(one) && !controllers.has(one));
      if (here.length === 0) continue;
      const directory = `${home.directory}/${name}`;
      try {
        this.#startJanitor();
        mkdirSync(directory);
        made.push({ directory, home });
        for (const one of here) {
          for (const [file, value] of settings(home.version, one, wanted.get(one) ?? 0))
            writeSetting(`${directory}/${file}`, value);
          controllers.add(one);
        }
      } catch (error) {
        if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EINVAL', 'ENOSPC')) throw error;
      }
    }
    if (controllers.size === 0) {
      for (const { directory } of made) rmdirSync(directory);
      return undefined;
    }
    return {
      joins: made.map(({ directory }) => `${directory}/cgroup.procs`),
      controllers,
      exceeded: () => exceededIn(made),
      remove: () => {
        for (const { directory } of made) this.#remove(directory);
      },
    };
  }

  /** Waits until every group is removed. */
  async close(): Promise<void> {
    await Promise.all(this.#removing);
    const janitor = this.#janitor;
    if (janitor === undefined || janitor.exitCode !== null) return;
    janitor.ref();
    janitor.stdin?.end();
    await once(janitor, 'exit');
  }

  #remove(directory: string): void {
    const removing = removeGroup(directory).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
  }

  #startJanitor(): void {
    if (this.#janitor !== undefined) return;
    const parents = this.#homes.map(({ directory }) => directory);
    this.#janitor = spawn('sh', ['-c', JANITOR, 'sh', this.#prefix, ...parents], {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      detached: true,
    });
    this.#janitor.stdin?.on('error', () => undefined);
    this.#janitor.on('error', () => undefined);
    this.#janitor.unref();
  }
}

/**
 * Waits until its standard input ends, which happens when the parent ends, and removes the groups
 * that are left.
 */
const JANITOR = `cat > /dev/null
prefix=$1; shift; tries=0
while [ $tries -lt 200 ]; do
  left=
  for parent; do for group in "$parent/$prefix"*; do
    [ ! -d "$group" ] || rmdir "$group" 2> /dev/null || left=1
  done; done
  [ -n "$left" ] || exit 0
  tries=$((tries + 1)); sleep 0.05
done`;

async function removeGroup(directory: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      return await rmdir(directory);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      if (!isErrno(error, 'EBUSY')) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

/** A directory in which groups can be created, and the controllers available there. */
interface Home {
  readonly version: 1 | 2;
  readonly directory: string;
  readonly controllers: readonly Controller[];
}

const CONTROLLERS: readonly Controller[] = ['pids', 'memory', 'cpu'];

function findHomes(): readonly Home[] {
  const own = new Map<string, string>();
  for (const line of read('/proc/self/cgroup').split('\n')) {
    const [, names = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const name of names.split(',')) if (path !== '') own.set(name, path);
  }
  const homes: Home[] = [];
  for (const line of read('/proc/self/mountinfo').split('\n')) {
    // proc_pid_mountinfo(5): … root, mount point … - type, source, options
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', target = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') homes.push(...secondVersion(target, below(root, own.get(''))));
    if (type !== 'cgroup') continue;
    const names = options.split(',');
    const controllers = CONTROLLERS.filter((one) => names.includes(one));
    const path = below(root, own.get(controllers[0] ?? ''));
    if (controllers.length > 0 && path !== undefined)
      homes.push({ version: 1, directory: target + path, controllers });
  }
  return homes;
}

/** Returns a path of a hierarchy relative to the part of it that is mounted. */
function below(root: string, path: string | undefined): string | undefined {
  if (path === undefined || root === '/') return path === '/' ? '' : path;
  if (path === root) return '';
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

/**
 * Returns the nearest group at or above that of this process that delegates the most controllers.
 * In version 2, a process is in exactly one group.
 */
function secondVersion(target: string, path: string | undefined): readonly Home[] {
  if (path === undefined) return [];
  let best: Home | undefined;
  for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
    const directory = target + at;
    const names = read(`${directory}/cgroup.subtree_control`).trim().split(' ');
    const controllers = CONTROLLERS.filter((one) => names.includes(one));
    if (controllers.length > (best?.controllers.length ?? 0) && isOurs(directory))
      best = { version: 2, directory, controllers };
    if (at === '') return best === undefined ? [] : [best];
  }
}

/** Reports whether groups can be created in a directory and processes moved into them. */
function isOurs(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    accessSync(`${directory}/cgroup.procs`, constants.W_OK);
    return true;
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EROFS', 'ENOENT', 'EPERM')) return false;
    throw error;
  }
}

function settings(
  version: 1 | 2,
  controller: Controller,
  value: number,
): readonly (readonly [string, string])[] {
  const text = String(value);
  const period = 100_000;
  const quota = String(Math.round(value * period));
  switch (controller) {
    case 'pids':
      return [['pids.max', text]];
    case 'memory':
      return version === 2
        ? [
            ['memory.max', text],
            ['memory.swap.max', '0'],
            ['memory.oom.group', '1'],
          ]
        : [
            ['memory.limit_in_bytes', text],
            ['memory.memsw.limit_in_bytes', text],
          ];
    case 'cpu':
      return version === 2
        ? [['cpu.max', `${quota} ${period}`]]
        : [
            ['cpu.cfs_period_us', String(period)],
            ['cpu.cfs_quota_us', quota],
          ];
    default:
      return controller satisfies never;
  }
}

/** Swap files are missing on a kernel that does not account for swap. */
const OPTIONAL = ['memory.swap.max', 'memory.memsw.limit_in_bytes', 'memory.oom.group'];

function writeSetting(path: string, value: string): void {
  try {
    writeFileSync(path, value, { flag: 'r+' });
  } catch (error) {
    if (!OPTIONAL.some((name) => path.endsWith(name)) || !isErrno(error, 'ENOENT', 'EACCES'))
      throw error;
  }
}

function exceededIn(
  groups: readonly { readonly directory: string; readonly home: Home }[],
): 'pids' | 'memory' | undefined {
  for (const { directory, home } of groups) {
    const memory = home.version === 2 ? 'memory.events' : 'memory.oom_control';
    if (count(`${directory}/${memory}`, 'oom_kill') > 0) return 'memory';
    if (count(`${directory}/pids.events`, 'max') > 0) return 'pids';
  }
  return undefined;
}

/** Returns a number from a file of names and numbers. */
function count(path: string, name: string): number {
  const line = read(path)
    .split('\n')
    .find((item) => item.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/**
 * Returns twelve random digits. Loading `node:crypto` takes longer than everything else before the
 * first process starts.
 */
function randomName(): string {
  const uuid = readFileSync('/proc/sys/kernel/random/uuid', 'utf8');
  return uuid.replaceAll('-', '').slice(0, 12);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENODEV', 'EPERM')) return '';
    throw error;
  }
}
