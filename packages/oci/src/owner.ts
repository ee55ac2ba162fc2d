import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/**
 * The name of a process that owns a lock or temporary files, with what is needed to tell later, from another process,
 * whether it is still there: `pid.start.boot.namespace.random`. A pid alone is used again by others; a pid of another
 * boot or pid namespace (a container, another machine on shared storage) says nothing here.
 */
export type OwnerToken = string;

/** A new token of this process. */
export function ownerToken(): OwnerToken {
  const { start, boot, namespace } = self();
  return [process.pid, start, boot, namespace, randomBytes(6).toString('hex')].join('.');
}

/** `unknown`: the owner is where this process cannot see; judge it by whether it still touches what it owns. */
export function ownerState(token: OwnerToken): 'alive' | 'dead' | 'unknown' {
  const match = /^(\d+)\.(\w+)\.(\w+)\.(\w+)\.[0-9a-f]{12}$/.exec(token);
  if (match === null) return 'unknown';
  const [, pid, start, boot, namespace] = match;
  const here = self();
  if (boot !== here.boot || namespace !== here.namespace) return 'unknown';
  const now = startOf(Number(pid));
  if (now === undefined) return 'dead';
  return now === start || now === 'x' || start === 'x' ? 'alive' : 'dead';
}

/** The token at the start of a file name that `ownerToken()` made. */
export function tokenOf(name: string): OwnerToken | undefined {
  return /^\d+\.\w+\.\w+\.\w+\.[0-9a-f]{12}/.exec(name)?.[0];
}

/** Whether two tokens were made by one process. */
export function sameOwner(a: OwnerToken, b: OwnerToken): boolean {
  return a.slice(0, a.lastIndexOf('.')) === b.slice(0, b.lastIndexOf('.'));
}

export function pidOf(token: OwnerToken): string {
  return token.slice(0, token.indexOf('.'));
}

interface Self {
  readonly start: string;
  readonly boot: string;
  readonly namespace: string;
}

let cached: Self | undefined;

function self(): Self {
  cached ??= {
    start: startOf(process.pid) ?? 'x',
    boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)) ?? 'x',
    namespace: attempt(() => readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '')) ?? 'x',
  };
  return cached;
}

/** When a process started, in clock ticks since boot; undefined when there is none, `x` where that cannot be known. */
function startOf(pid: number): string | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (stat !== undefined) {
    // proc_pid_stat(5): the second field is in parentheses and may hold anything, the start is the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has done all it will do.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  // No /proc, or one that hides the processes of others (hidepid).
  try {
    process.kill(pid, 0);
    return 'x';
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? 'x' : undefined;
  }
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
