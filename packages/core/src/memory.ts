/**
 * The memory policy of lkt. Data streams through its processes in chunks, which V8 and glibc keep
 * longer than necessary by default. The figures are peaks of resident memory while 150 MB of layers
 * are built (by a worker) or composed (by `lkt build`), on two processors.
 */

const MIB = 2 ** 20;

/** The kind of work a process does, which decides how its memory is managed. */
export type MemoryUse = 'compose' | 'stream' | 'transfer';

interface MemoryPolicy {
  /**
   * Half of V8's space for new objects (`node --max-semi-space-size`); unused chunks stay until it
   * is full.
   */
  readonly semiSpaceMib: number;
  /** Time from the start to `growHeapSlowly`; undefined for never. */
  readonly growSlowlyAfterMs: number | undefined;
  /** Mebibytes of chunks between two major collections by `collectChunks`. */
  readonly majorGcMib: number;
}

/**
 * The policy of V8 by use.
 *
 * - `stream`, workers and most commands: with a semi-space of 1 MiB instead of Node's 16, a worker
 *   takes 105 MB instead of 121 in the same time. A command without work ends within 200 ms.
 * - `compose`, `lkt build` and `lkt verify`: a semi-space of 4 MiB instead of 1 takes 2 MB more of
 *   138 and a tenth less processor time. A slowly growing heap, or major collections as often as
 *   for `stream`, would save no memory and take a tenth more. Flags that delay the first collection
 *   of all garbage (`--initial-old-space-size`) make V8 discard cached code: a build without
 *   changes took 147 ms instead of 109, and one from layers alone no less time.
 * - `transfer`, `lkt cache`: the data of a pull or push is not on the heap. Early collection took a
 *   quarter of a pull's processor time.
 */
export const MEMORY_POLICY: Readonly<Record<MemoryUse, MemoryPolicy>> = {
  stream: { semiSpaceMib: 1, growSlowlyAfterMs: 200, majorGcMib: 64 },
  compose: { semiSpaceMib: 4, growSlowlyAfterMs: undefined, majorGcMib: 256 },
  transfer: { semiSpaceMib: 1, growSlowlyAfterMs: undefined, majorGcMib: 64 },
};

/**
 * Environment of glibc's malloc. One arena, because each thread's arena keeps freed memory: 2 MB in
 * a worker. Blocks above the threshold return to the system at once: with chunks below 1 MiB, a
 * worker takes 105 MB instead of 115. In a command, the same threshold would save 12 MB of 138 but
 * take a tenth more processor time.
 */
export const MALLOC_ENVIRONMENT = {
  command: { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '1048576' },
  worker: { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '131072' },
} as const;

/**
 * Bytes of chunks between two minor collections, which take 0.2 ms. Without them, composing takes
 * 159 MB instead of 138. With twice as many bytes, 12 MiB of chunks are soon in memory, and V8
 * begins a major collection of 6 ms: composing a file of 256 MB takes 2.0 s instead of 1.4 s of
 * processor time. With half as many, chunks in use survive two collections, and only a major one
 * frees them.
 */
const MINOR_GC_BYTES = 2 * MIB;

/** Number of buffers that `BufferPool` keeps. Without it, composing takes 145 MB instead of 138. */
const MAX_FREE_BUFFERS = 4;

const [GROW_SLOWLY, GROW_BY_DEFAULT] = ['--heap-growing-percent=25', '--heap-growing-percent=0'];

/** Applies the policy of a use to this process, as far as that is possible after its start. */
export function applyMemoryPolicy(use: MemoryUse): void {
  const { growSlowlyAfterMs, majorGcMib } = MEMORY_POLICY[use];
  majorGcBytes = majorGcMib * MIB;
  if (growSlowlyAfterMs !== undefined) setTimeout(growHeapSlowly, growSlowlyAfterMs).unref();
}

/**
 * Makes V8 grow the heap in small steps from now on, so that streamed data is collected early and
 * its memory returned. V8 accepts cached code only under the flags it was compiled with, so later
 * modules are loaded under the startup flags; otherwise Node would recompile its own for 13 ms.
 */
export function growHeapSlowly(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const { prototype } = process.getBuiltinModule('node:module').Module;
  const { value } = Object.getOwnPropertyDescriptor(prototype, 'require') ?? {};
  const load = value as (this: NodeJS.Module, id: string) => unknown;
  prototype.require = function (id) {
    setFlagsFromString(GROW_BY_DEFAULT);
    try {
      return load.call(this, id);
    } finally {
      setFlagsFromString(GROW_SLOWLY);
    }
  };
  setFlagsFromString(GROW_SLOWLY);
}

let majorGcBytes = MEMORY_POLICY.stream.majorGcMib * MIB;
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
  const type = sinceMajor < majorGcBytes ? 'minor' : 'major';
  if (type === 'major') sinceMajor = 0;
  collect ??= garbageCollector();
  collect({ type });
}

/**
 * Collects all garbage, which takes milliseconds. For processes that wait between pieces of work:
 * V8 would let the garbage of several pieces accumulate.
 */
export function collectGarbage(): void {
  collect ??= garbageCollector();
  collect({ type: 'major' });
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

/**
 * A pool of buffers of one size. Allocating one each time would make V8 scan the whole heap every
 * few buffers.
 */
export class BufferPool {
  readonly #size: number;
  readonly #spare: Buffer[] = [];

  /** @param size of a buffer in bytes */
  constructor(size: number) {
    this.#size = size;
  }

  /** Returns a buffer with arbitrary contents. */
  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  /** Takes back buffers that are no longer in use. */
  release(...buffers: readonly Buffer[]): void {
    for (const buffer of buffers)
      if (this.#spare.length < MAX_FREE_BUFFERS) this.#spare.push(buffer);
  }
}
