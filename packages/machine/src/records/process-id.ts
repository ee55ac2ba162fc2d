import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Identifies a process: another one may have its pid later, but not also its start time. */
export interface ProcessId {
  readonly pid: number;
  /** Start of the process in clock ticks since the boot of the host. */
  readonly start: string;
  /** Id of that boot. */
  readonly boot: string;
  /** PID namespace. */
  readonly namespace: string;
  readonly host: string;
}

/** Returns the id of this process. */
export function ownProcessId(): ProcessId {
  const { pid } = process;
  return { pid, start: startOf(pid) ?? '', ...here() };
}

/**
 * Reports whether a process runs, as seen from this one: `unknown` for another host or PID
 * namespace.
 */
export function stateOf(id: ProcessId): 'running' | 'ended' | 'unknown' {
  const { boot, namespace, host } = here();
  if (id.host !== host) return 'unknown';
  if (id.boot !== boot) return 'ended';
  if (id.namespace !== namespace) return 'unknown';
  return startOf(id.pid) === id.start ? 'running' : 'ended';
}

function here(): Pick<ProcessId, 'boot' | 'namespace' | 'host'> {
  return {
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    namespace: readlinkSync('/proc/self/ns/pid'),
    host: hostname(),
  };
}

/** Returns the start of a process (proc(5), field 22 of stat); undefined if it has ended. */
function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name in parentheses may have blanks and parentheses.
  const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return /^[ZX]/.test(state) ? undefined : rest[18];
}
