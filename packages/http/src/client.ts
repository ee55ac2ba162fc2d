import { LktError } from '@lkt/core';
import { redactUrl } from './address.ts';
import { Transports } from './transports.ts';
import { download, type DownloadOptions } from './download.ts';
import { isWorthRetry, toNetworkError } from './network-error.ts';
import { redirectTarget, withoutCredentials } from './redirect.ts';
import type { HttpOptions } from './options.ts';
import type { RequestOptions } from './request.ts';
import { type HttpResponse, responseFrom } from './response.ts';
import { isLastAttempt, isTemporaryStatus, waitBeforeRetry } from './retry.ts';

/** Returns a client; dispose it to close its connections. */
export function createHttpClient(options: HttpOptions = {}): HttpClient {
  return new HttpClient(options);
}

const MAX_REDIRECTS = 10;

/** An HTTP client with proxies, trusted certificates and retries. */
export class HttpClient implements AsyncDisposable {
  readonly #options: HttpOptions;
  readonly #transports: Transports;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#transports = new Transports(options);
  }

  /**
   * Sends a request and returns the response, whatever its status. Retries after lost connections,
   * overload and server errors, waiting as long as the server asks. Follows redirects of GET and
   * HEAD, but sends no credentials to another origin, and does not follow from https to http.
   * @throws NETWORK_FAILED; CONFIG_INVALID for an invalid proxy or certificate file; the signal's
   * reason
   * @example
   * ```ts
   * await using http = createHttpClient({ env: process.env });
   * const response = await http.request('https://example.org/index.json');
   * const index = await response.bytes(1_000_000);
   * ```
   */
  async request(url: URL | string, options: RequestOptions = {}): Promise<HttpResponse> {
    const { signal, retry = true } = options;
    const retryPolicy = { ...this.#options, signal };
    const start = addressOf(url);
    for (let attempt = 0; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        const response = await this.#follow(start, options);
        if (!retry || !isTemporaryStatus(response.status) || isLastAttempt(attempt, retryPolicy))
          return response;
        await response.discard();
        await waitBeforeRetry(attempt, response.header('retry-after'), retryPolicy);
      } catch (error) {
        if (!retry || !isWorthRetry(error, attempt) || isLastAttempt(attempt, retryPolicy))
          throw error;
        await waitBeforeRetry(attempt, undefined, retryPolicy);
      }
    }
  }

  /**
   * Downloads a file. Resumes after a lost connection and verifies the content at its end, so do
   * not act on chunks before that.
   * @returns the content, readable once: read it to its end, or call the iterator's `return`
   * @throws NETWORK_FAILED; NOT_FOUND; DIGEST_MISMATCH at the end, or as soon as the content is too
   * long
   */
  async download(
    url: URL | string,
    options: DownloadOptions = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    return download(this, this.#options, addressOf(url), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transports[Symbol.asyncDispose]();
  }

  async #follow(start: URL, options: RequestOptions): Promise<HttpResponse> {
    let url = start;
    let { headers = {} } = options;
    if (url.username !== '' && headers['authorization'] === undefined)
      headers = { ...headers, authorization: basicCredentials(url) };
    for (let hop = 0; ; hop += 1) {
      const response = await this.#send(url, { ...options, headers });
      const next =
        options.redirect === false ? undefined : redirectTarget(options.method ?? 'GET', response);
      if (next === undefined) return response;
      await response.discard();
      if (hop === MAX_REDIRECTS)
        throw new LktError(
          'NETWORK_FAILED',
          `${redactUrl(start)} redirects more than ${MAX_REDIRECTS} times`,
        );
      if (next.origin !== url.origin) headers = withoutCredentials(headers);
      url = next;
    }
  }

  async #send(url: URL, options: RequestOptions): Promise<HttpResponse> {
    const { method = 'GET', headers, body, signal } = options;
    const { userAgent } = this.#options;
    const transport = await this.#transports.to(url);
    try {
      const response = await transport.send(url, {
        method,
        headers: {
          // A digest names the content itself, not a compressed form.
          'accept-encoding': 'identity',
          ...(userAgent === undefined ? {} : { 'user-agent': userAgent }),
          ...headers,
        },
        body,
        signal,
      });
      return responseFrom(url, response, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw toNetworkError(url, error);
    }
  }
}

function addressOf(url: URL | string): URL {
  const address = URL.canParse(String(url)) ? new URL(url) : undefined;
  if (address?.protocol === 'https:' || address?.protocol === 'http:') return address;
  throw new LktError('NETWORK_FAILED', `${redactUrl(url)} is not an http or https address`);
}

function basicCredentials({ username, password }: URL): string {
  const pair = `${decoded(username)}:${decoded(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
