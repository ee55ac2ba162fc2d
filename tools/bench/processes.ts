import { readdirSync, readFileSync, statSync } from 'node:fs';

/** Milliseconds of processor time of the children of this process that have ended, and of theirs. */
export function processorTime(): number {
  const [user = 0, system = 0] = statOf('self').slice(13, 15);
  // Of `times(2)`; a tick is 10 ms on every Linux that Node runs on.
  return (user + system) * 10;
}

/**
 * Watches what a process and everything below it hold in memory, but what has another root: that is a command of a RUN, and a
 * compiler holds the same whoever starts it.
 */
export class MemoryWatch {
  #peak = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#timer = setInterval(() => {
      this.#peak = Math.max(this.#peak, memoryOf(pid));
    }, 3);
  }

  /** Ends it. @returns the largest sum, in MB: what processes share counts once, split among them */
  end(): number {
    clearInterval(this.#timer);
    return this.#peak / 1000;
  }
}

/** Proportional set size in kB of a process and all below it that have the root of this one. */
function memoryOf(root: number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const [parent] = statOf(name).slice(1, 2);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  let sum = 0;
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    waiting.push(...(children.get(pid) ?? []));
    if (rootOf(String(pid)) !== here) continue;
    const rollup = read(`/proc/${pid}/smaps_rollup`);
    sum += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return sum;
}

/** Names the root directory of a process. */
function rootOf(pid: string): string {
  try {
    const { dev, ino } = statSync(`/proc/${pid}/root`);
    return `${dev} ${ino}`;
  } catch {
    // It has ended.
    return '';
  }
}

const here = rootOf('self');

/** The fields of proc_pid_stat(5) behind the name, from the state on, as numbers. */
function statOf(pid: string): number[] {
  const text = read(`/proc/${pid}/stat`);
  return text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
