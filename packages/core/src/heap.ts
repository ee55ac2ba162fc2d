import { setFlag } from './v8-flags.ts';

/**
 * Has the heap of this process grow in small steps from now on, so that what streams through is collected early and its
 * memory given back.
 */
export function growHeapSlowly(): void {
  setFlag('--heap-growing-percent=25', '--heap-growing-percent=0');
}

/**
 * Has memory outside of the heap that objects in it hold, such as chunks of streams, count as the heap does for when it is
 * collected. Else some 40 MB of chunks that nobody needs any more lie about.
 */
export function countExternalMemory(): void {
  const flag = 'external-memory-accounted-in-global-limit';
  setFlag(`--${flag}`, `--no-${flag}`);
}
