import type { Reporter } from '@lkt/core';
import {
  type Download,
  download,
  type DownloadOptions,
  type HttpClient,
  type HttpResponse,
  NetworkError,
  type RetryPolicy,
  type RequestOptions,
} from '@lkt/http';
import { Authorizer, type FindCredentials } from './auth/authorizer.ts';
import type { Endpoint } from './endpoint.ts';

const MAX_BODY_ATTEMPTS = 4;

type Action = 'delete' | 'pull' | 'push';

/** A request about one repository. */
export interface RemoteRequest extends RequestOptions {
  readonly action: Action;
  /** Other repositories that the request reads. */
  readonly from?: readonly string[];
}

/** A repository of a registry or mirror: sends authorized requests. */
export class Remote {
  readonly path: string;
  /** The registry's address with the prefix of `/v2/`. */
  readonly base: string;
  readonly #endpoint: Endpoint;
  readonly #authorizer: Authorizer;
  readonly #namespace: string | undefined;
  readonly #warn: (text: string) => void;

  constructor(
    path: string,
    endpoint: Endpoint,
    authorizer: Authorizer,
    { namespace, warn }: { namespace?: string | undefined; warn: (text: string) => void },
  ) {
    this.path = path;
    this.base = endpoint.base;
    this.#endpoint = endpoint;
    this.#authorizer = authorizer;
    this.#namespace = namespace;
    this.#warn = warn;
  }

  get retryPolicy(): RetryPolicy {
    return this.#endpoint.retryPolicy;
  }

  /** Returns the URL of a path within the repository, such as `blobs/sha256:…`. */
  url(rest: string): URL {
    const url = new URL(`${this.base}/v2/${this.path}/${rest}`);
    // A mirror may serve several registries (distribution-spec, "Registry Proxying").
    if (this.#namespace !== undefined) url.searchParams.set('ns', this.#namespace);
    return url;
  }

  /**
   * Sends a request, with credentials if it goes to the registry itself. Returns the response,
   * whatever its status.
   * @throws ACCESS_DENIED, NETWORK_FAILED
   */
  async request(target: URL, options: RemoteRequest): Promise<HttpResponse> {
    const { action, from = [], headers, signal, ...rest } = options;
    const isOwn = target.origin === new URL(this.base).origin;
    const scopes = [scopeOf(this.path, action), ...from.map((path) => scopeOf(path, 'pull'))];
    for (let attempt = 0; ; attempt += 1) {
      const authorization = isOwn
        ? await this.#authorizer.header(this.path, scopes, signal)
        : undefined;
      const response = await this.#endpoint.http.request(target, {
        ...rest,
        signal,
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
      });
      this.#reportWarnings(response);
      // Do not answer the challenge of another server after a redirect.
      const canAnswer = isOwn && attempt === 0 && response.url.origin === target.origin;
      const challenge = response.header('www-authenticate');
      if (response.status !== 401 || !canAnswer || challenge === undefined) return response;
      if (!(await this.#authorizer.handleChallenge(challenge, this.path, scopes, authorization)))
        return response;
      await response.discard();
    }
  }

  /**
   * Sends a request and reads the body if the status is 200; retries if the body breaks off.
   * @throws ACCESS_DENIED; NETWORK_FAILED, also if the body is longer than `limit` bytes
   */
  async read(
    target: URL,
    options: RemoteRequest,
    limit: number,
  ): Promise<{ response: HttpResponse; bytes: Buffer | undefined }> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.request(target, options);
      if (response.status !== 200) return { response, bytes: undefined };
      try {
        return { response, bytes: await response.bytes(limit) };
      } catch (error) {
        options.signal?.throwIfAborted();
        const isRetryable =
          error instanceof NetworkError && error.isTemporary && attempt < MAX_BODY_ATTEMPTS;
        if (!isRetryable) throw error;
      }
    }
  }

  /** Downloads a blob, resuming after lost connections. The caller verifies it. */
  async download(
    digest: string,
    options: Omit<DownloadOptions, 'isCheckedByCaller'>,
  ): Promise<Download> {
    const request: HttpClient['request'] = async (url, inner) =>
      this.request(new URL(url), { ...inner, action: 'pull' });
    return download({ request }, this.retryPolicy, this.url(`blobs/${digest}`), {
      ...options,
      isCheckedByCaller: true,
    });
  }

  /** Reports the warnings of a response (distribution-spec, "Warnings"). */
  #reportWarnings(response: HttpResponse): void {
    const header = response.header('warning');
    for (const [, text = ''] of header?.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g) ?? [])
      this.#warn(`${response.url.host}: ${text.replaceAll(/\\(.)/g, '$1')}`);
  }
}

function scopeOf(path: string, action: Action): string {
  return `repository:${path}:${action === 'push' ? 'pull,push' : action}`;
}

/** Returns a function that emits each warning once. */
export function warnOnce(reporter: Reporter): (text: string) => void {
  const emitted = new Set<string>();
  return (text) => {
    if (emitted.has(text) || emitted.size > 100) return;
    emitted.add(text);
    reporter.emit({ kind: 'warning', text });
  };
}

/** Returns the authorizer of an endpoint. */
export function authorizerFor(endpoint: Endpoint, find: FindCredentials): Authorizer {
  return new Authorizer(endpoint.http, new URL(endpoint.base), find);
}
