import { LktError } from '@lkt/core';
import { readableUrl } from './address.ts';
import { Connections } from './connections.ts';
import { type Download, download, type DownloadOptions } from './download.ts';
import { isTemporary, networkError } from './network-error.ts';
import { nextHop, withoutCredentials } from './redirect.ts';
import { type HttpResponse, responseFrom } from './response.ts';
import { isLast, isTemporaryStatus, pause, type Patience } from './retry.ts';

export interface HttpOptions extends Omit<Patience, 'signal'> {
  /** Where `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and `NODE_EXTRA_CA_CERTS` are looked up. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Certificates of more authorities to trust, in PEM form. */
  readonly ca?: readonly string[];
  /** Milliseconds without a byte after which a try is given up; default one minute. */
  readonly idle?: number;
  /** Connections to one server at a time; default 8. */
  readonly connections?: number;
  readonly userAgent?: string;
}

export interface RequestOptions {
  readonly method?: 'DELETE' | 'GET' | 'HEAD' | 'PATCH' | 'POST' | 'PUT';
  /** By names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * A function makes a stream anew for each try. Each part of it must stay as it is until the next one is asked for. Its
   * length is what `content-length` says, if there is one.
   */
  readonly body?: Uint8Array | string | (() => AsyncIterable<Uint8Array>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether what may be temporary is tried again; default true. */
  readonly retry?: boolean;
  /** Whether redirects are followed for GET and HEAD; default true. */
  readonly redirect?: boolean;
}

/** One way to speak HTTP: through the user's proxies, to servers their certificates name, and with patience. */
export interface HttpClient extends AsyncDisposable {
  /**
   * Sends a request, and again while that may help: after connections that broke, overload and errors of the server,
   * as soon as it asks for. The answer is given whatever its status is. Redirects are followed for GET and HEAD;
   * neither credentials to another origin, nor from https to http.
   * @throws LktError NETWORK_FAILED; CONFIG_INVALID for a bad proxy or file of certificates; the signal's reason
   */
  request(url: URL | string, options?: RequestOptions): Promise<HttpResponse>;
  /**
   * Reads a file. A connection that breaks is taken up where it broke, and what comes is checked at its end, so
   * nothing may be made of it before.
   * @throws LktError NETWORK_FAILED; NOT_FOUND; at the end of the content, or as soon as it is too long,
   * DIGEST_MISMATCH
   */
  download(url: URL | string, options?: DownloadOptions): Promise<Download>;
}

export function createHttpClient(options: HttpOptions = {}): HttpClient {
  return new Client(options);
}

const MAX_REDIRECTS = 10;

class Client implements HttpClient {
  readonly #options: HttpOptions;
  readonly #connections: Connections;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#connections = new Connections(options);
  }

  async request(url: URL | string, options: RequestOptions = {}): Promise<HttpResponse> {
    const { signal, retry = true } = options;
    const patience = { ...this.#options, signal };
    const start = addressOf(url);
    for (let attempt = 0; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        const response = await this.#follow(start, options);
        if (!retry || !isTemporaryStatus(response.status) || isLast(attempt, patience))
          return response;
        await response.discard();
        await pause(attempt, response.header('retry-after'), patience);
      } catch (error) {
        if (!retry || !isTemporary(error) || isLast(attempt, patience)) throw error;
        await pause(attempt, undefined, patience);
      }
    }
  }

  async download(url: URL | string, options: DownloadOptions = {}): Promise<Download> {
    return download(this, this.#options, addressOf(url), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }

  async #follow(start: URL, options: RequestOptions): Promise<HttpResponse> {
    let url = start;
    let { headers = {} } = options;
    if (url.username !== '' && headers['authorization'] === undefined)
      headers = { ...headers, authorization: basicCredentials(url) };
    for (let hop = 0; ; hop += 1) {
      const response = await this.#send(url, { ...options, headers });
      const next =
        options.redirect === false ? undefined : nextHop(options.method ?? 'GET', response);
      if (next === undefined) return response;
      await response.discard();
      if (hop === MAX_REDIRECTS)
        throw new LktError('NETWORK_FAILED', `${readableUrl(start)} redirects without end`);
      if (next.origin !== url.origin) headers = withoutCredentials(headers);
      url = next;
    }
  }

  async #send(url: URL, options: RequestOptions): Promise<HttpResponse> {
    const { method = 'GET', headers, body, signal } = options;
    const { userAgent } = this.#options;
    const connection = await this.#connections.to(url);
    try {
      const answer = await connection.send(url, {
        method,
        headers: {
          // What is asked for is the content a digest names, not another form of it.
          'accept-encoding': 'identity',
          ...(userAgent === undefined ? {} : { 'user-agent': userAgent }),
          ...headers,
        },
        body,
        signal,
      });
      return responseFrom(url, answer, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw networkError(url, error);
    }
  }
}

function addressOf(url: URL | string): URL {
  const address = URL.canParse(String(url)) ? new URL(url) : undefined;
  if (address?.protocol === 'https:' || address?.protocol === 'http:') return address;
  throw new LktError('NETWORK_FAILED', `${readableUrl(url)} is not an address of http or https`);
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
