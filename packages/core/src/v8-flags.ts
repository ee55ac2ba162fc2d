interface Changed {
  /** As on the command line of Node. */
  readonly flag: string;
  /** What says the opposite. */
  readonly flagOfStart: string;
}

/** Not a variable of this module: what loads a bundle has a copy of it, beside the one in the bundle. */
const CHANGED = Symbol.for('lkt.changed-flags');
const shared = globalThis as { [CHANGED]?: Changed[] };

/**
 * Sets a flag of V8 until the process ends. What V8 has compiled, in Node itself and in caches, counts only under the
 * flags it was compiled with: set for Node, this would have every process compile for 13 ms what it has. Therefore
 * `withFlagsOfStart`.
 * @param flagOfStart what sets it to what it is now
 */
export function setFlag(flag: string, flagOfStart: string): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString(flag);
  if (shared[CHANGED] === undefined) {
    shared[CHANGED] = [];
    // Node keeps what was compiled when it ends.
    process.once('exit', () => {
      for (const { flagOfStart: back } of shared[CHANGED] ?? []) setFlagsFromString(back);
    });
  }
  shared[CHANGED].push({ flag, flagOfStart });
}

/**
 * Does what has to do with compiled code, which is taken, and good for other processes, under the flags this one started
 * with.
 */
export function withFlagsOfStart<T>(run: () => T): T {
  const { [CHANGED]: changed } = shared;
  if (changed === undefined) return run();
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const { flagOfStart } of changed) setFlagsFromString(flagOfStart);
  try {
    return run();
  } finally {
    for (const { flag } of changed) setFlagsFromString(flag);
  }
}
