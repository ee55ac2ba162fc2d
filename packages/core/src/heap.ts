/**
 * Has the heap of this process grow in small steps from now on, so that what streams through is collected early and its
 * memory given back. Called late: what V8 has compiled, in Node itself and in caches, counts only under the flags it was
 * compiled with, and as a flag of Node this would have every process compile for 13 ms what it has.
 */
export function growHeapSlowly(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const set = (percent: number): void => setFlagsFromString(`--heap-growing-percent=${percent}`);
  set(25);
  const change: WithFlagsOfStart = (run) => {
    set(0);
    try {
      return run();
    } finally {
      set(25);
    }
  };
  Object.assign(globalThis, { [WITH_FLAGS_OF_START]: change });
  process.once('exit', () => set(0));
}

/**
 * Does what has to do with compiled code, which is taken, and good for other processes, under the flags this one started
 * with.
 */
export function withFlagsOfStart<T>(run: () => T): T {
  const { [WITH_FLAGS_OF_START]: change } = globalThis as {
    readonly [WITH_FLAGS_OF_START]?: WithFlagsOfStart;
  };
  return change === undefined ? run() : change(run);
}

type WithFlagsOfStart = <T>(run: () => T) => T;

/** Not a variable of this module: what loads a bundle has a copy of it, beside the one in the bundle. */
const WITH_FLAGS_OF_START = Symbol.for('lkt.with-flags-of-start');
