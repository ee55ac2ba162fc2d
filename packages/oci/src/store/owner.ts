import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/**
 * Identifies a process that owns a lock or temporary files: `pid.start.boot.namespace.random`.
 * Other processes can tell whether it still runs. The pid alone would not do: pids are reused, and
 * a pid of another boot or pid namespace (a container, a machine on shared storage) is meaningless
 * here.
 */
export type OwnerToken = string;

/** Returns a new token of this process. */
export function ownerToken(): OwnerToken {
  const { start, boot, namespace } = self();
  return [process.pid, start, boot, namespace, randomBytes(6).toString('hex')].join('.');
}

/**
 * Returns whether the owner runs. `unknown`: it is in another boot or pid namespace, so check
 * whether it still touches its files.
 */
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

/** Returns the owner token at the start of a file name, or undefined. */
export function tokenOf(name: string): OwnerToken | undefined {
  return /^\d+\.\w+\.\w+\.\w+\.[0-9a-f]{12}/.exec(name)?.[0];
}

/** Reports whether two tokens belong to the same process. */
export function sameOwner(a: OwnerToken, b: OwnerToken): boolean {
  return a.slice(0, a.lastIndexOf('.')) === b.slice(0, b.lastIndexOf('.'));
}

/** Returns the process id of an owner. */
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

/**
 * Returns a process's start time in clock ticks since boot; undefined if it does not run, `x` if
 * the time is unknown.
 */
function startOf(pid: number): string | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (stat !== undefined) {
    // proc_pid_stat(5): field 2 is in parentheses and may contain anything; the start time is field
    // 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie no longer runs.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  // No /proc, or one that hides other users' processes (hidepid).
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
