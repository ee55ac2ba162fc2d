/** Options of a request. */
export interface RequestOptions {
  readonly method?: 'DELETE' | 'GET' | 'HEAD' | 'PATCH' | 'POST' | 'PUT';
  /** Names are in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * A function returns a new stream for each attempt. A chunk must not change until the next one is
   * requested. The length must match `content-length` if that is set; otherwise the body is
   * chunked.
   */
  readonly body?: Uint8Array | string | (() => AsyncIterable<Uint8Array>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Retry after temporary failures; default true. */
  readonly retry?: boolean;
  /** Follow redirects of GET and HEAD; default true. */
  readonly redirect?: boolean;
}
