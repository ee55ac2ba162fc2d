/**
 * What one RUN may use. None changes what a command gives: one that reaches a limit fails, and its step is not kept.
 * Part of no cache key.
 */
export interface Limits {
  /** Processors; default: all there are. */
  readonly cpus?: number;
  /** Bytes of memory of all processes together; default: what the machine has. */
  readonly memory?: number;
  /** Processes and threads at once; default: 4096. */
  readonly pids?: number;
  /** Default: as long as it takes. */
  readonly seconds?: number;
  /** Bytes of what it says; default: 64 MiB. */
  readonly output?: number;
}

/** Enough for any build that means to end, and few enough that the machine does not mind. */
export const DEFAULT_LIMITS: { readonly pids: number; readonly output: number } = {
  pids: 4096,
  output: 64 * 2 ** 20,
};
