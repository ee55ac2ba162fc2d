import { createHash, type Hash } from 'node:crypto';
import { type Digest, LktError } from '@lkt/core';
import { readableUrl } from './address.ts';
import type { HttpClient } from './client.ts';
import { isTemporary, NetworkError } from './network-error.ts';
import type { HttpResponse } from './response.ts';
import { isLast, isTemporaryStatus, pause, type Patience } from './retry.ts';

export interface DownloadOptions {
  /** What the content must be. */
  readonly digest?: Digest;
  /** How many bytes it must have. */
  readonly size?: number;
  /** How many bytes it may have. */
  readonly maxSize?: number;
  /**
   * The caller checks the content against a digest that names it for good. Nothing is hashed here then, and what
   * follows a break is taken for the rest of the same content.
   */
  readonly isCheckedByCaller?: boolean;
  /** The caller is done with each part before it asks for the next one; its memory may be used again. */
  readonly canReuseBuffers?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Told of every piece that came in. */
  readonly onBytes?: (count: number) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface Download {
  /** Where the content comes from, after redirects. */
  readonly url: URL;
  readonly header: (name: string) => string | undefined;
  /** Of the whole content, if the server says so. */
  readonly size: number | undefined;
  /** Once. Must be read to its end, or be given up by its `return`. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * `HttpClient.download` by another way of sending requests, such as one that knows credentials.
 * @throws LktError NETWORK_FAILED, NOT_FOUND, DIGEST_MISMATCH
 */
export async function download(
  client: Pick<HttpClient, 'request'>,
  patience: Patience,
  url: URL,
  options: DownloadOptions,
): Promise<Download> {
  const response = await client.request(url, options);
  if (response.status !== 200) throw await refused(url, response);
  const length = response.header('content-length');
  const size = length === undefined ? undefined : Number(length);
  if (size !== undefined) {
    const problem = sizeProblem(url, size, true, options);
    if (problem !== undefined) {
      await response.discard();
      throw problem;
    }
  }
  return {
    url: response.url,
    header: response.header,
    size,
    content: new Transfer(client, patience, url, options, response),
  };
}

/** One file on its way, over as many connections as it takes. */
class Transfer implements AsyncIterable<Uint8Array> {
  readonly #client: Pick<HttpClient, 'request'>;
  readonly #patience: Patience;
  readonly #url: URL;
  readonly #options: DownloadOptions;
  readonly #hash: Hash | undefined;
  #received = 0;
  #response: HttpResponse;

  constructor(
    client: Pick<HttpClient, 'request'>,
    patience: Patience,
    url: URL,
    options: DownloadOptions,
    response: HttpResponse,
  ) {
    this.#client = client;
    this.#patience = patience;
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
        // What has not begun does not end either.
        if (!hasBegun) await this.#response.discard();
        return parts.return(undefined);
      },
    };
  }

  async *#parts(): AsyncGenerator<Uint8Array> {
    const { onBytes, signal } = this.#options;
    let attempt = 0;
    for (;;) {
      let rest: AsyncIterable<Uint8Array> = this.#response.body();
      try {
        if (this.#received > 0) rest = await this.#resume();
        for await (const chunk of rest) {
          this.#hash?.update(chunk);
          this.#received += chunk.length;
          const problem = sizeProblem(this.#url, this.#received, false, this.#options);
          if (problem !== undefined) throw problem;
          // A connection that gives anything at all is worth as much patience as the first.
          attempt = 0;
          onBytes?.(chunk.length);
          yield this.#options.canReuseBuffers === true ? chunk : Buffer.from(chunk);
        }
        if (this.#received < (this.#options.size ?? 0)) throw this.#tooShort();
        break;
      } catch (error) {
        if (!isTemporary(error) || isLast(attempt, this.#patience)) throw error;
        await pause(attempt, undefined, { ...this.#patience, signal });
        attempt += 1;
        if (this.#received === 0) this.#response = await this.#again({});
      }
    }
    this.#check();
  }

  /** The content from where the last connection broke. */
  async #resume(): Promise<AsyncIterable<Uint8Array>> {
    const validator = this.#hash === undefined ? undefined : strongValidator(this.#response);
    const response = await this.#again({
      range: `bytes=${this.#received}-`,
      ...(validator === undefined ? {} : { 'if-range': validator }),
    });
    const start = /^bytes (\d+)-/.exec(response.header('content-range') ?? '')?.[1];
    if (response.status === 206 && Number(start) === this.#received)
      if (this.#hash === undefined || validator !== undefined || this.#options.digest !== undefined)
        return response.body();
    if (response.status === 200) return this.#skip(response);
    // A part that nothing says is of the same content, or that is another part than was asked for.
    await response.discard();
    return this.#skip(await this.#again({}, 200));
  }

  /** The rest of content that comes from its beginning, which must be as it was. */
  async *#skip(response: HttpResponse): AsyncGenerator<Uint8Array> {
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
        throw new LktError('NETWORK_FAILED', `${readableUrl(this.#url)} changed while it was read`);
      }
      if (old.length < chunk.length) yield chunk.subarray(old.length);
    }
    if (skipped < before)
      throw new LktError('NETWORK_FAILED', `${readableUrl(this.#url)} changed while it was read`);
  }

  async #again(headers: Readonly<Record<string, string>>, only?: 200): Promise<HttpResponse> {
    const { headers: own, signal } = this.#options;
    const response = await this.#client.request(this.#url, {
      headers: { ...own, ...headers },
      signal,
    });
    const { status } = response;
    if (status === 200 || (only === undefined && (status === 206 || status === 416)))
      return response;
    throw await refused(this.#url, response);
  }

  #tooShort(): NetworkError {
    const { size } = this.#options;
    const what = `${readableUrl(this.#url)} ends after ${this.#received} of ${size} bytes`;
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
        `${readableUrl(this.#url)} is not what was asked for: it is ${actual}, not ${digest}`,
      );
  }
}

/** RFC 9110, 13.1.5: a weak one says nothing about bytes. */
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
    const some = isWhole ? `${bytes}` : 'more';
    return new LktError(
      'DIGEST_MISMATCH',
      `${readableUrl(url)} is not what was asked for: it has ${some} bytes, not ${size}`,
    );
  }
  return maxSize !== undefined && bytes > maxSize
    ? new LktError('NETWORK_FAILED', `${readableUrl(url)} has more than ${maxSize} bytes`)
    : undefined;
}

async function refused(url: URL, response: HttpResponse): Promise<LktError> {
  const { status } = response;
  await response.discard();
  const what = `${readableUrl(url)}: HTTP status ${status}`;
  if (status === 404 || status === 410) return new LktError('NOT_FOUND', what);
  return new NetworkError(what, { isTemporary: isTemporaryStatus(status) });
}
