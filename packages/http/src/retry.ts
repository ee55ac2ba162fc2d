import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds before the second, third … try. */
const BACKOFF: readonly number[] = [250, 1000, 3000];

const MAX_RETRY_AFTER = 60_000;

const TEMPORARY: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 522]);

/** Whether a server that answers so may answer otherwise in a while. */
export function isTemporaryStatus(status: number): boolean {
  return TEMPORARY.has(status);
}

export interface Patience {
  /** Milliseconds before the second, third … try; its length is the number of tries after the first. */
  readonly backoff?: readonly number[] | undefined;
  /** The longest wait, in milliseconds, that a server may ask for with Retry-After; default one minute. */
  readonly maxRetryAfter?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Whether there is no try after this one; the first is 0. */
export function isLast(attempt: number, { backoff = BACKOFF }: Patience): boolean {
  return attempt >= backoff.length;
}

/**
 * Waits before the next try, as long as the server asks for, else as the backoff says, more or less so that those who
 * came at once do not come back at once.
 */
export async function pause(
  attempt: number,
  retryAfter: string | undefined,
  { backoff = BACKOFF, maxRetryAfter = MAX_RETRY_AFTER, signal }: Patience,
): Promise<void> {
  const own = (backoff[attempt] ?? 0) * (0.75 + Math.random() / 2);
  const asked = retryAfterMs(retryAfter, Date.now());
  const wait = asked === undefined ? own : Math.min(asked, maxRetryAfter);
  await delay(wait, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

/** RFC 9110, 10.2.3: seconds, or a date. */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
