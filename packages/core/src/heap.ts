import { setFlag } from './v8-flags.ts';

/**
 * Has the heap of this process grow in small steps from now on, so that what streams through is collected early and its
 * memory given back.
 */
export function growHeapSlowly(): void {
  setFlag('--heap-growing-percent=25', '--heap-growing-percent=0');
}

/** After so many bytes what was made lately is collected, which takes 0.2 ms, and after so many everything, which takes 6 ms. */
const [LATELY, EVERYTHING] = [4 * 2 ** 20, 64 * 2 ** 20];

let [since, sinceEverything] = [0, 0];
let collect: ((options: { readonly type: 'minor' | 'major' }) => void) | undefined;

/**
 * Collects chunks of a stream. V8 collects by what is on the heap, where a chunk counts for next to nothing: some 40 MB of them
 * would wait.
 * @param size of a chunk that was done with, in bytes
 */
export function collectChunks(size: number): void {
  since += size;
  if (since < LATELY) return;
  sinceEverything += since;
  since = 0;
  const type = sinceEverything < EVERYTHING ? 'minor' : 'major';
  if (type === 'major') sinceEverything = 0;
  collect ??= garbageCollector();
  collect({ type });
}

function garbageCollector(): NonNullable<typeof collect> {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const { runInNewContext } = process.getBuiltinModule('node:vm');
  // Only a context that is made under this flag has it.
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc') as NonNullable<typeof collect>;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
