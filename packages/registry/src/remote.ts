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
import type { Server } from './server.ts';

const BODY_TRIES = 4;

type Action = 'delete' | 'pull' | 'push';

/** A request about one repository. */
export interface RemoteRequest extends RequestOptions {
  readonly action: Action;
  /** Repositories that are read from too. */
  readonly from?: readonly string[];
}

/** One repository at one registry or mirror: sends requests with what the registry wants to see. */
export class Remote {
  readonly path: string;
  /** The registry's address, and what is before `/v2/` in it. */
  readonly base: string;
  readonly #server: Server;
  readonly #authorizer: Authorizer;
  readonly #namespace: string | undefined;
  readonly #warn: (text: string) => void;

  constructor(
    path: string,
    server: Server,
    authorizer: Authorizer,
    { namespace, warn }: { namespace?: string | undefined; warn: (text: string) => void },
  ) {
    this.path = path;
    this.base = server.base;
    this.#server = server;
    this.#authorizer = authorizer;
    this.#namespace = namespace;
    this.#warn = warn;
  }

  get retryPolicy(): RetryPolicy {
    return this.#server.retryPolicy;
  }

  /** `rest` is what comes after the name of the repository: `blobs/sha256:…`. */
  url(rest: string): URL {
    const url = new URL(`${this.base}/v2/${this.path}/${rest}`);
    // What a mirror is asked for may be of several registries (distribution-spec, "Registry Proxying").
    if (this.#namespace !== undefined) url.searchParams.set('ns', this.#namespace);
    return url;
  }

  /**
   * Sends a request, with credentials if it goes to the registry itself. The answer is given whatever its status is.
   * @throws LktError ACCESS_DENIED, NETWORK_FAILED
   */
  async request(target: URL, options: RemoteRequest): Promise<HttpResponse> {
    const { action, from = [], headers, signal, ...rest } = options;
    const isOwn = target.origin === new URL(this.base).origin;
    const scopes = [scopeOf(this.path, action), ...from.map((path) => scopeOf(path, 'pull'))];
    for (let attempt = 0; ; attempt += 1) {
      const authorization = isOwn
        ? await this.#authorizer.header(this.path, scopes, signal)
        : undefined;
      const response = await this.#server.http.request(target, {
        ...rest,
        signal,
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
      });
      this.#surface(response);
      // What another server asks for, after a redirect, is not for it to have.
      const mayAnswer = isOwn && attempt === 0 && response.url.origin === target.origin;
      const asked = response.header('www-authenticate');
      if (response.status !== 401 || !mayAnswer || asked === undefined) return response;
      if (!(await this.#authorizer.learn(asked, this.path, scopes, authorization))) return response;
      await response.discard();
    }
  }

  /**
   * Sends a request for something short, which is read whole if its status is 200. A body that breaks is asked for again.
   * @throws LktError ACCESS_DENIED, NETWORK_FAILED, also when it has more than `limit` bytes
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
        const isWorthIt =
          error instanceof NetworkError && error.isTemporary && attempt < BODY_TRIES;
        if (!isWorthIt) throw error;
      }
    }
  }

  /** A blob as it comes, taken up where the connection breaks. The caller checks it. */
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

  /** distribution-spec, "Warnings" */
  #surface(response: HttpResponse): void {
    const header = response.header('warning');
    for (const [, text = ''] of header?.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g) ?? [])
      this.#warn(`${response.url.host}: ${text.replaceAll(/\\(.)/g, '$1')}`);
  }
}

function scopeOf(path: string, action: Action): string {
  return `repository:${path}:${action === 'push' ? 'pull,push' : action}`;
}

/** Says each warning once. */
export function warnOnce(reporter: Reporter): (text: string) => void {
  const said = new Set<string>();
  return (text) => {
    if (said.has(text) || said.size > 100) return;
    said.add(text);
    reporter.emit({ kind: 'warning', text });
  };
}

export function authorizerFor(server: Server, find: FindCredentials): Authorizer {
  return new Authorizer(server.http, new URL(server.base), find);
}
