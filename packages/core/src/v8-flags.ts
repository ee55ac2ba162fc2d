interface Changed {
  /** As on Node's command line. */
  readonly flag: string;
  /** The flag that restores the value at startup. */
  readonly flagOfStart: string;
}

/** A global symbol: the loader of a bundle and the bundle have separate copies of this module. */
const CHANGED = Symbol.for('lkt.changed-flags');
const shared = globalThis as { [CHANGED]?: Changed[] };

/**
 * Sets a V8 flag until the process exits. V8 accepts cached code only under the flags it was
 * compiled with; changed for the whole process, each start would compile for 13 ms. Wrap accesses
 * to cached code in `withFlagsOfStart`.
 * @param flagOfStart the flag that restores the current value
 */
export function setFlag(flag: string, flagOfStart: string): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString(flag);
  if (shared[CHANGED] === undefined) {
    shared[CHANGED] = [];
    // Node writes its compile cache on exit.
    process.once('exit', () => {
      for (const { flagOfStart: back } of shared[CHANGED] ?? []) setFlagsFromString(back);
    });
  }
  shared[CHANGED].push({ flag, flagOfStart });
}

/**
 * Runs `run` under the V8 flags the process started with. Use it for loading and storing compiled
 * code that other processes share.
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
