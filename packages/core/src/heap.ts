import { setFlag } from './v8-flags.ts';

/**
 * Makes V8 grow the heap in small steps from now on, so that streamed data is collected early and
 * its memory returned.
 */
export function growHeapSlowly(): void {
  setFlag('--heap-growing-percent=25', '--heap-growing-percent=0');
}

/** Bytes between collections: a minor one takes 0.2 ms, a major one 6 ms. */
const [MINOR_GC_BYTES, MAJOR_GC_BYTES] = [4 * 2 ** 20, 64 * 2 ** 20];

let [sinceMinor, sinceMajor] = [0, 0];
let collect: ((options: { readonly type: 'minor' | 'major' }) => void) | undefined;

/**
 * Collects the garbage of streamed chunks from time to time. A chunk's memory is outside the V8
 * heap and hardly triggers a collection, so about 40 MB would accumulate. Call it for each consumed
 * chunk.
 * @param size of the chunk in bytes
 */
export function collectChunks(size: number): void {
  sinceMinor += size;
  if (sinceMinor < MINOR_GC_BYTES) return;
  sinceMajor += sinceMinor;
  sinceMinor = 0;
  const type = sinceMajor < MAJOR_GC_BYTES ? 'minor' : 'major';
  if (type === 'major') sinceMajor = 0;
  collect ??= garbageCollector();
  collect({ type });
}

function garbageCollector(): NonNullable<typeof collect> {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const { runInNewContext } = process.getBuiltinModule('node:vm');
  // Only contexts created under this flag have `gc`.
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc') as NonNullable<typeof collect>;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
