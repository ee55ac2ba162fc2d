import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isErrno } from '@lkt/core';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { CommandGroup } from './cgroup.ts';

export type ExceededLimit = 'pids' | 'memory' | 'seconds' | 'output';

/** Interval at which the kernel is asked whether a limit was reached. */
const INTERVAL_MS = 200;

/**
 * Watches a command and stops it when it reaches a limit: its result would differ from a run
 * without the limit.
 */
export class LimitWatch implements Disposable {
  readonly #limits: Limits;
  readonly #group: CommandGroup | undefined;
  readonly #stop: () => void;
  readonly #timers: NodeJS.Timeout[] = [];
  #output = 0;
  #exceeded: ExceededLimit | undefined;

  /**
   * @param pid an ancestor of the command's processes
   * @param stop ends the command
   */
  constructor(
    limits: Limits,
    group: CommandGroup | undefined,
    pid: number | undefined,
    stop: () => void,
  ) {
    this.#limits = limits;
    this.#group = group;
    this.#stop = stop;
    if (limits.seconds !== undefined)
      this.#timers.push(setTimeout(() => this.#exceed('seconds'), limits.seconds * 1000));
    this.#timers.push(
      setInterval(() => {
        const reached = this.#group?.exceeded() ?? this.#tooMany(pid);
        if (reached !== undefined) this.#exceed(reached);
      }, INTERVAL_MS),
    );
  }

  /** Returns the part of a chunk of output that is within the limit. */
  take(chunk: Buffer): Buffer {
    const left = (this.#limits.output ?? DEFAULT_LIMITS.output) - this.#output;
    this.#output += chunk.length;
    if (chunk.length <= left) return chunk;
    this.#exceed('output');
    return chunk.subarray(0, Math.max(0, left));
  }

  /** Checks once more after the command has ended, and ends the watch. */
  finish(): ExceededLimit | undefined {
    this.#exceeded ??= this.#group?.exceeded();
    this[Symbol.dispose]();
    return this.#exceeded;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #exceed(limit: ExceededLimit): void {
    if (this.#exceeded !== undefined) return;
    this.#exceeded = limit;
    this.#stop();
  }

  /**
   * Without a control group, failed forks are not counted; a full pid namespace counts as reached.
   */
  #tooMany(pid: number | undefined): 'pids' | undefined {
    if (this.#group?.controllers.has('pids') === true || pid === undefined) return undefined;
    const most = this.#limits.pids ?? DEFAULT_LIMITS.pids;
    return processesBelow(pid) >= most - 1 ? 'pids' : undefined;
  }
}

/** Returns the number of processes in the pid namespace of a child of a process. */
function processesBelow(pid: number): number {
  try {
    const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    if (child === '') return 0;
    // Until the child has a /proc of its own, it sees the host's.
    const proc = `/proc/${child}/root/proc`;
    if (readlinkSync(`${proc}/1/ns/pid`) !== readlinkSync(`/proc/${child}/ns/pid`)) return 0;
    return readdirSync(proc).filter((name) => /^\d+$/.test(name)).length;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ESRCH', 'EPERM')) return 0;
    throw error;
  }
}
