import { setTimeout as delay } from 'node:timers/promises';
import type { SpeedLimit } from '@lkt/core';

/** Default waits before the second, third, … attempt, in milliseconds. */
const BACKOFF: readonly number[] = [250, 1000, 3000];

const MAX_RETRY_AFTER = 60_000;

const TEMPORARY: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 522]);

/** Reports whether a retry may change this status. */
export function isTemporaryStatus(status: number): boolean {
  return TEMPORARY.has(status);
}

/** When to retry a request, and how long to wait. */
export interface RetryPolicy {
  /**
   * Waits before the second, third, … attempt, in milliseconds. Its length is the number of
   * retries.
   */
  readonly backoff?: readonly number[] | undefined;
  /** Maximum wait that a server may request by Retry-After, in milliseconds; default one minute. */
  readonly maxRetryAfter?: number | undefined;
  /** Speed below which a download makes no progress, so that its retries are exhausted. */
  readonly minSpeed?: SpeedLimit | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reports whether no attempt follows this one; the first is 0. */
export function isLastAttempt(attempt: number, { backoff = BACKOFF }: RetryPolicy): boolean {
  return attempt >= backoff.length;
}

/** Waits before the next attempt: as long as the server requests, else the backoff with jitter. */
export async function waitBeforeRetry(
  attempt: number,
  retryAfter: string | undefined,
  { backoff = BACKOFF, maxRetryAfter = MAX_RETRY_AFTER, signal }: RetryPolicy,
): Promise<void> {
  const own = (backoff[attempt] ?? 0) * (0.75 + Math.random() / 2);
  const requested = retryAfterMs(retryAfter, Date.now());
  const wait = requested === undefined ? own : Math.min(requested, maxRetryAfter);
  await delay(wait, undefined, { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

/** Parses Retry-After into milliseconds: seconds, or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
