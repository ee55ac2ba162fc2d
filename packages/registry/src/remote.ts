import { ByteCollector, hasDigest, LktError } from '@lkt/core';
import {
  download,
  type DownloadOptions,
  type HttpClient,
  type HttpResponse,
  NetworkError,
  type RetryPolicy,
  type RequestOptions,
} from '@lkt/http';
import { type Descriptor, formatReference, type Reference } from '@lkt/oci';
import type { Endpoint } from './endpoint.ts';

const MAX_BODY_ATTEMPTS = 4;

type Action = 'pull' | 'push';

/** A request about one repository. */
export interface RemoteRequest extends RequestOptions {
  readonly action: Action;
  /** Other repositories that the request reads. */
  readonly from?: readonly string[];
}

/** The tag or digest of a manifest in a repository. */
export type ManifestKey = Pick<Reference, 'digest' | 'tag'>;

/** A repository of a registry. */
export interface Repository {
  readonly domain: string;
  readonly path: string;
}

/** A repository of a registry or mirror: sends authorized requests until its signal aborts. */
export class Remote {
  readonly repository: Repository;
  readonly signal: AbortSignal | undefined;
  readonly #endpoint: Endpoint;
  readonly #isMirror: boolean;

  /** @param repository for a mirror: that of the mirrored registry */
  constructor(
    endpoint: Endpoint,
    { domain, path }: Repository,
    { isMirror = false, signal }: { isMirror?: boolean; signal: AbortSignal | undefined },
  ) {
    this.repository = { domain, path };
    this.signal = signal;
    this.#endpoint = endpoint;
    this.#isMirror = isMirror;
  }

  /** The registry's address in front of `/v2/`. */
  get base(): URL {
    return new URL(this.#endpoint.base);
  }

  get retryPolicy(): RetryPolicy {
    return { ...this.#endpoint.retryPolicy, signal: this.signal };
  }

  /** Returns the same repository with another signal. */
  withSignal(signal: AbortSignal): Remote {
    return new Remote(this.#endpoint, this.repository, { isMirror: this.#isMirror, signal });
  }

  /** Returns the full name of a manifest, or of the repository, for messages. */
  nameOf({ tag, digest }: ManifestKey): string {
    return formatReference({ ...this.repository, tag, digest });
  }

  /** Returns the URL of a path within the repository, such as `blobs/sha256:…`. */
  url(rest: string): URL {
    const { domain, path } = this.repository;
    const url = new URL(`${this.#endpoint.base}/v2/${path}/${rest}`);
    // A mirror may serve several registries (distribution-spec, "Registry Proxying").
    if (this.#isMirror) url.searchParams.set('ns', domain);
    return url;
  }

  /**
   * Sends a request, with credentials if it goes to the registry itself. Returns the response,
   * whatever its status.
   * @throws ACCESS_DENIED, NETWORK_FAILED
   */
  async request(target: URL, options: RemoteRequest): Promise<HttpResponse> {
    const { action, from = [], headers, signal = this.signal, ...rest } = options;
    const { http, authorizer } = this.#endpoint;
    const { path } = this.repository;
    const isOwn = target.origin === this.base.origin;
    const scopes = [scopeOf(path, action), ...from.map((other) => scopeOf(other, 'pull'))];
    for (let attempt = 0; ; attempt += 1) {
      const authorization = isOwn ? await authorizer.header(path, scopes, signal) : undefined;
      const response = await http.request(target, {
        ...rest,
        signal,
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
      });
      this.#reportWarnings(response);
      // Do not answer the challenge of another server after a redirect.
      const canAnswer = isOwn && attempt === 0 && response.url.origin === target.origin;
      const challenge = response.header('www-authenticate');
      if (response.status !== 401 || !canAnswer || challenge === undefined) return response;
      if (!(await authorizer.handleChallenge(challenge, path, scopes, authorization)))
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
    options: Omit<RemoteRequest, 'action'>,
    limit: number,
  ): Promise<{ response: HttpResponse; bytes: Buffer | undefined }> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.request(target, { ...options, action: 'pull' });
      if (response.status !== 200) return { response, bytes: undefined };
      try {
        return { response, bytes: await response.bytes(limit) };
      } catch (error) {
        this.signal?.throwIfAborted();
        const isRetryable =
          error instanceof NetworkError && error.isTemporary && attempt < MAX_BODY_ATTEMPTS;
        if (!isRetryable) throw error;
      }
    }
  }

  /** Downloads a blob, resuming after lost connections. The caller verifies it. */
  async download(
    digest: string,
    options: Omit<DownloadOptions, 'isCheckedByCaller' | 'signal'>,
  ): Promise<AsyncIterable<Uint8Array>> {
    const request: HttpClient['request'] = async (url, inner) =>
      this.request(new URL(url), { ...inner, action: 'pull' });
    return download({ request }, this.retryPolicy, this.url(`blobs/${digest}`), {
      ...options,
      isCheckedByCaller: true,
      signal: this.signal,
    });
  }

  /**
   * Returns a small blob, verified.
   * @throws IMAGE_INVALID if it has more than `limit` bytes; DIGEST_MISMATCH, NETWORK_FAILED
   */
  async readBlob({ digest, size }: Descriptor, limit: number): Promise<Buffer> {
    const name = `blob ${digest} of ${this.nameOf({})}`;
    if (size > limit)
      throw new LktError('IMAGE_INVALID', `${name} has ${size} bytes, more than ${limit}`);
    const collector = new ByteCollector();
    for await (const part of await this.download(digest, { size, canReuseBuffers: true }))
      collector.push(part);
    const bytes = collector.bytes();
    if (hasDigest(bytes, digest)) return bytes;
    throw new LktError('DIGEST_MISMATCH', `${this.base.host} returned wrong content for ${name}`, {
      fix: 'do not trust this registry',
    });
  }

  /** Reports the warnings of a response (distribution-spec, "Warnings"). */
  #reportWarnings(response: HttpResponse): void {
    const header = response.header('warning');
    for (const [, text = ''] of header?.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g) ?? [])
      this.#endpoint.warn(`${response.url.host}: ${text.replaceAll(/\\(.)/g, '$1')}`);
  }
}

function scopeOf(path: string, action: Action): string {
  return `repository:${path}:${action === 'push' ? 'pull,push' : action}`;
}
