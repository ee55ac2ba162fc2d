import { availableParallelism } from 'node:os';

/** Maximum number of concurrent tasks. Node has four worker threads, and each task costs memory. */
export const CONCURRENCY: number = Math.min(4, availableParallelism());
