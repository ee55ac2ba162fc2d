import { readdirSync, readFileSync, statSync } from 'node:fs';

/** Returns the processor time of all finished descendants of this process, in milliseconds. */
export function processorTime(): number {
  return endedTimeOf('self');
}

/** Returns the processor time of a process, without its children, in milliseconds. */
export function processorTimeOf(pid: number): number {
  return sumOfTicks(statOf(String(pid)).slice(11, 13));
}

/** Returns the processor time of a process and all its descendants in milliseconds. */
export function treeTimeOf(pid: number): number {
  const children = childrenByParent();
  const sum = (at: number): number =>
    processorTimeOf(at) +
    endedTimeOf(String(at)) +
    (children.get(at) ?? []).reduce((total, child) => total + sum(child), 0);
  return sum(pid);
}

/** Returns the processor time of the finished descendants of a process in milliseconds. */
function endedTimeOf(pid: string): number {
  return sumOfTicks(statOf(pid).slice(13, 15));
}

/** Adds ticks (times(2)), which are 10 ms on every Linux that Node supports. */
function sumOfTicks([user = 0, system = 0]: readonly number[]): number {
  return (user + system) * 10;
}

/**
 * Watches the memory of a process and its descendants, except for processes with another root
 * directory: those are commands of RUN steps, which need the same memory with every builder.
 */
export class MemoryWatch {
  #peak = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#timer = setInterval(() => {
      this.#peak = Math.max(this.#peak, memoryOf(pid));
    }, 3);
  }

  /** Stops. Returns the peak in MB; shared memory counts once. */
  end(): number {
    clearInterval(this.#timer);
    return this.#peak / 1000;
  }
}

/**
 * Returns the proportional set size in kB of a process and those of its descendants that have this
 * process's root directory.
 */
function memoryOf(root: number): number {
  const children = childrenByParent();
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

/** Returns the children of each process that has some, by pid. */
export function childrenByParent(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const [parent] = statOf(name).slice(1, 2);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

/** Returns an identifier of a process's root directory, empty if the process has ended. */
function rootOf(pid: string): string {
  try {
    const { dev, ino } = statSync(`/proc/${pid}/root`);
    return `${dev} ${ino}`;
  } catch {
    return '';
  }
}

const here = rootOf('self');

/** Returns the numeric fields of proc_pid_stat(5) after the name, from the state on. */
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
