/**
 * Limits of one RUN. They do not change its result: a command that reaches a limit fails, and its
 * step is not cached. Not part of a cache key.
 */
export interface Limits {
  /** Number of processors; default: all. */
  readonly cpus?: number;
  /** Bytes of memory of all processes together; default: all memory. */
  readonly memory?: number;
  /** Maximum number of processes and threads; default: 4096. */
  readonly pids?: number;
  /** Maximum duration; default: unlimited. */
  readonly seconds?: number;
  /** Maximum bytes of output; default: 64 MiB. */
  readonly output?: number;
}

/** Enough for any build that terminates, and harmless to the host. */
export const DEFAULT_LIMITS: { readonly pids: number; readonly output: number } = {
  pids: 4096,
  output: 64 * 2 ** 20,
};
