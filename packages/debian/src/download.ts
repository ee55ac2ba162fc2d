import { setTimeout as delay } from 'node:timers/promises';
import { LktError } from '@lkt/core';
import type { ArchiveName, Mirror } from './mirror.ts';

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of every piece that came in, and of what is taken back (a negative number) when a try starts over. */
  readonly onBytes?: (count: number) => void;
  /** Milliseconds before the second, third … try. */
  readonly backoff?: readonly number[];
  /** Milliseconds without a byte after which a try is given up. */
  readonly idle?: number;
}

const BACKOFF = [300, 1000, 3000];
const IDLE = 30_000;

/**
 * Reads one file of an archive. `consume` gets its bytes, unchecked, once a try; what it returns is returned.
 *
 * Broken connections and overload are tried again; a file that is absent, or that `consume` refuses, is looked for at
 * the mirror's next address.
 * @throws LktError NOT_FOUND if no address has the file, NETWORK_FAILED, and what `consume` throws
 */
export async function download<T>(
  mirror: Mirror,
  archive: ArchiveName,
  path: string,
  consume: (content: AsyncIterable<Uint8Array>) => Promise<T>,
  options: DownloadOptions = {},
): Promise<T> {
  const failures: LktError[] = [];
  for (const address of mirror.archives[archive]) {
    try {
      return await fromAddress(`${address}/${path}`, consume, options);
    } catch (error) {
      if (!(error instanceof LktError) || !ELSEWHERE.has(error.code)) throw error;
      failures.push(error);
    }
  }
  const worst = failures.find(({ code }) => code !== 'NOT_FOUND') ?? failures[0];
  throw worst ?? new LktError('NOT_FOUND', `${mirror.source} names no address for ${archive}`);
}

const ELSEWHERE: ReadonlySet<string> = new Set([
  'NOT_FOUND',
  'NETWORK_FAILED',
  'DIGEST_MISMATCH',
  'SIGNATURE_INVALID',
]);

async function fromAddress<T>(
  url: string,
  consume: (content: AsyncIterable<Uint8Array>) => Promise<T>,
  options: DownloadOptions,
): Promise<T> {
  const backoff = options.backoff ?? BACKOFF;
  for (let attempt = 0; ; attempt += 1) {
    const transfer = new Transfer(url, options);
    try {
      return await consume(transfer.content());
    } catch (error) {
      options.signal?.throwIfAborted();
      options.onBytes?.(-transfer.received);
      const { failure } = transfer;
      if (failure === undefined) throw error;
      const pause = backoff[attempt];
      if (!failure.temporary || pause === undefined) throw failure.error;
      await delay(pause, undefined, { signal: options.signal });
    }
  }
}

/** One try. Remembers its own failure, whatever the consumer makes of it. */
class Transfer {
  readonly #url: string;
  readonly #options: DownloadOptions;
  received = 0;
  failure: { readonly error: LktError; readonly temporary: boolean } | undefined;

  constructor(url: string, options: DownloadOptions) {
    this.#url = url;
    this.#options = options;
  }

  async *content(): AsyncGenerator<Uint8Array> {
    const { signal, onBytes, idle = IDLE } = this.#options;
    const abort = new AbortController();
    const onIdle = (): void => {
      abort.abort(new Error(`no answer for ${idle / 1000} seconds`));
    };
    let timer = setTimeout(onIdle, idle);
    let finished = false;
    try {
      const signals = signal === undefined ? [abort.signal] : [abort.signal, signal];
      const response = await fetch(this.#url, { signal: AbortSignal.any(signals) });
      if (!response.ok || response.body === null) throw this.#refused(response.status);
      for await (const chunk of response.body) {
        clearTimeout(timer);
        this.received += chunk.length;
        onBytes?.(chunk.length);
        yield chunk;
        timer = setTimeout(onIdle, idle);
      }
      finished = true;
    } catch (error) {
      this.failure ??= { error: this.#broken(abort.signal.reason ?? error), temporary: true };
      throw error;
    } finally {
      clearTimeout(timer);
      if (!finished) abort.abort();
    }
  }

  #refused(status: number): LktError {
    const missing = status === 404 || status === 410;
    const error = new LktError(
      missing ? 'NOT_FOUND' : 'NETWORK_FAILED',
      `${withoutPassword(this.#url)}: HTTP status ${status}`,
    );
    this.failure = { error, temporary: status >= 500 || status === 408 || status === 429 };
    return error;
  }

  #broken(cause: unknown): LktError {
    return new LktError('NETWORK_FAILED', `${withoutPassword(this.#url)} cannot be read`, {
      cause,
    });
  }
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.href;
}
