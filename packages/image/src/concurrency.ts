import { availableParallelism } from 'node:os';

/** Tasks that run at once. Node has as many threads beside its own, and each task costs memory. */
export const CONCURRENCY: number = Math.min(4, availableParallelism());
