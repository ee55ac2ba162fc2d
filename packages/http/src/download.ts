import { createHash, type Hash } from 'node:crypto';
import { type Digest, LktError } from '@lkt/core';
import { redactUrl } from './address.ts';
import type { RequestOptions } from './request.ts';
import { isWorthRetry, NetworkError } from './network-error.ts';
import type { HttpResponse } from './response.ts';
import { isLastAttempt, isTemporaryStatus, waitBeforeRetry, type RetryPolicy } from './retry.ts';
import { MIN_SPEED, SpeedMeter } from '@lkt/core';

/** Options of a download. */
export interface DownloadOptions {
  /** The expected digest. */
  readonly digest?: Digest;
  /** The expected size in bytes. */
  readonly size?: number;
  /** The maximum size in bytes. */
  readonly maxSize?: number;
  /**
   * The caller verifies the content against a permanent digest. The download then computes no hash,
   * and resumes without comparing versions.
   */
  readonly isCheckedByCaller?: boolean;
  /** Reuse the memory of a chunk as soon as the next one is requested. */
  readonly canReuseBuffers?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called with the first response, for its headers. */
  readonly onResponse?: (response: Pick<HttpResponse, 'header'>) => void;
  /** Called with the size of each received chunk. */
  readonly onBytes?: (count: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests, such as a client, or one that adds credentials. */
export interface Requester {
  request(url: URL | string, options?: RequestOptions): Promise<HttpResponse>;
}

/**
 * Downloads a file through any client, such as one that adds credentials; otherwise as
 * `HttpClient.download`.
 * @returns the content, readable once: read it to its end, or call the iterator's `return`
 * @throws NETWORK_FAILED, NOT_FOUND, DIGEST_MISMATCH
 */
export async function download(
  client: Requester,
  retryPolicy: RetryPolicy,
  url: URL,
  options: DownloadOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const response = await client.request(url, options);
  if (response.status !== 200) throw await statusError(url, response);
  options.onResponse?.(response);
  const length = response.header('content-length');
  const problem =
    length === undefined ? undefined : sizeProblem(url, Number(length), true, options);
  if (problem !== undefined) {
    await response.discard();
    throw problem;
  }
  return new Transfer(client, retryPolicy, url, options, response);
}

/** The download of one file over as many connections as needed. */
class Transfer implements AsyncIterable<Uint8Array> {
  readonly #client: Requester;
  readonly #retryPolicy: RetryPolicy;
  readonly #url: URL;
  readonly #options: DownloadOptions;
  readonly #hash: Hash | undefined;
  #received = 0;
  #response: HttpResponse;

  constructor(
    client: Requester,
    retryPolicy: RetryPolicy,
    url: URL,
    options: DownloadOptions,
    response: HttpResponse,
  ) {
    this.#client = client;
    this.#retryPolicy = retryPolicy;
    this.#url = url;
    this.#options = options;
    this.#hash = options.isCheckedByCaller === true ? undefined : createHash('sha256');
    this.#response = response;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const parts = this.#parts();
    let hasBegun = false;
    return {
      next: async () => {
        hasBegun = true;
        return parts.next();
      },
      return: async () => {
        // A generator that has not started does not run its finally blocks.
        if (!hasBegun) await this.#response.discard();
        return parts.return(undefined);
      },
    };
  }

  async *#parts(): AsyncGenerator<Uint8Array> {
    const { onBytes, signal } = this.#options;
    const meter = new SpeedMeter(this.#retryPolicy.minSpeed ?? MIN_SPEED);
    let attempt = 0;
    let start = performance.now();
    for (;;) {
      let rest: AsyncIterable<Uint8Array> = this.#response.body();
      try {
        if (this.#received > 0) rest = await this.#resume();
        for await (const chunk of rest) {
          this.#hash?.update(chunk);
          this.#received += chunk.length;
          const problem = sizeProblem(this.#url, this.#received, false, this.#options);
          if (problem !== undefined) throw problem;
          // Progress resets the retry count, unless connections and waits together are too slow.
          if (meter.isFastEnough(chunk.length, performance.now() - start)) attempt = 0;
          onBytes?.(chunk.length);
          yield this.#options.canReuseBuffers === true ? chunk : Buffer.from(chunk);
          start = performance.now();
        }
        if (this.#received < (this.#options.size ?? 0)) throw this.#tooShort();
        break;
      } catch (error) {
        if (!isWorthRetry(error, attempt) || isLastAttempt(attempt, this.#retryPolicy)) throw error;
        await waitBeforeRetry(attempt, undefined, { ...this.#retryPolicy, signal });
        attempt += 1;
        if (this.#received === 0) this.#response = await this.#request({});
      }
    }
    this.#check();
  }

  /** Continues the content after a lost connection. */
  async #resume(): Promise<AsyncIterable<Uint8Array>> {
    const validator = this.#hash === undefined ? undefined : strongValidator(this.#response);
    const response = await this.#request({
      range: `bytes=${this.#received}-`,
      ...(validator === undefined ? {} : { 'if-range': validator }),
    });
    const start = /^bytes (\d+)-/.exec(response.header('content-range') ?? '')?.[1];
    if (response.status === 206 && Number(start) === this.#received)
      if (this.#hash === undefined || validator !== undefined || this.#options.digest !== undefined)
        return response.body();
    if (response.status === 200) return this.#skipReceived(response);
    // The part may belong to another version, or is not the requested part.
    await response.discard();
    return this.#skipReceived(await this.#request({}, 200));
  }

  /**
   * Yields the rest of a response that starts over, after checking that its beginning is unchanged.
   */
  async *#skipReceived(response: HttpResponse): AsyncGenerator<Uint8Array> {
    const before = this.#received;
    const expected = this.#hash?.copy().digest('hex');
    const again = createHash('sha256');
    let skipped = 0;
    for await (const chunk of response.body()) {
      const old = chunk.subarray(0, before - skipped);
      if (expected !== undefined && old.length > 0) again.update(old);
      skipped += old.length;
      if (skipped < before) continue;
      if (old.length > 0 && expected !== undefined && again.digest('hex') !== expected) {
        await response.discard();
        throw new LktError('NETWORK_FAILED', `${redactUrl(this.#url)} changed while it was read`);
      }
      if (old.length < chunk.length) yield chunk.subarray(old.length);
    }
    if (skipped < before)
      throw new LktError('NETWORK_FAILED', `${redactUrl(this.#url)} changed while it was read`);
  }

  async #request(headers: Readonly<Record<string, string>>, only?: 200): Promise<HttpResponse> {
    const { headers: own, signal } = this.#options;
    const response = await this.#client.request(this.#url, {
      headers: { ...own, ...headers },
      signal,
    });
    const { status } = response;
    if (status === 200 || (only === undefined && (status === 206 || status === 416)))
      return response;
    throw await statusError(this.#url, response);
  }

  #tooShort(): NetworkError {
    const { size } = this.#options;
    const what = `${redactUrl(this.#url)} ends after ${this.#received} of ${size} bytes`;
    return new NetworkError(what, { isTemporary: true });
  }

  #check(): void {
    const { digest } = this.#options;
    const problem = sizeProblem(this.#url, this.#received, true, this.#options);
    if (problem !== undefined) throw problem;
    if (digest === undefined || this.#hash === undefined) return;
    const actual = `sha256:${this.#hash.digest('hex')}`;
    if (actual !== digest)
      throw new LktError(
        'DIGEST_MISMATCH',
        `${redactUrl(this.#url)} does not match its digest: it is ${actual}, not ${digest}`,
      );
  }
}

/** Returns the strong ETag. A weak one does not identify bytes (RFC 9110, 13.1.5). */
function strongValidator({ header }: HttpResponse): string | undefined {
  const tag = header('etag');
  return tag !== undefined && !tag.startsWith('W/') ? tag : undefined;
}

function sizeProblem(
  url: URL,
  bytes: number,
  isWhole: boolean,
  { size, maxSize }: DownloadOptions,
): LktError | undefined {
  if (size !== undefined && (isWhole ? bytes !== size : bytes > size)) {
    const found = isWhole ? `${bytes} bytes, not ${size}` : `more than ${size} bytes`;
    return new LktError('DIGEST_MISMATCH', `${redactUrl(url)} has ${found}`);
  }
  return maxSize !== undefined && bytes > maxSize
    ? new LktError('NETWORK_FAILED', `${redactUrl(url)} has more than ${maxSize} bytes`)
    : undefined;
}

async function statusError(url: URL, response: HttpResponse): Promise<LktError> {
  const { status } = response;
  await response.discard();
  const what = `${redactUrl(url)}: HTTP status ${status}`;
  if (status === 404 || status === 410) return new LktError('NOT_FOUND', what);
  return new NetworkError(what, { isTemporary: isTemporaryStatus(status) });
}
