import type { RequestOptions } from './request.ts';

/** A request for one attempt, without redirects and retries. */
export type TransportRequest = Required<Pick<RequestOptions, 'method' | 'headers'>> &
  Pick<RequestOptions, 'body' | 'signal'>;

/**
 * The response of one attempt. Its content must be read to its end, ended by the iterator's
 * `return`, or discarded.
 */
export interface TransportResponse {
  readonly status: number;
  /** Returns a header by its lower-case name; repeated headers are joined by commas. */
  readonly header: (name: string) => string | undefined;
  /** The body, readable once. A chunk is valid until the next one is requested. */
  readonly content: AsyncIterable<Uint8Array>;
  /** Reads a short rest, so that the connection can be reused, and drops a long one. */
  readonly discard: () => Promise<void>;
}

/** Sends requests, directly or through a proxy. Throws the errors of the network unchanged. */
export interface Transport {
  /** Sends a request and returns the response once its head has arrived. */
  send(url: URL, request: TransportRequest): Promise<TransportResponse>;
  /** Closes all connections. */
  close(): Promise<void>;
}

/** Maximum bytes of an unneeded body that are read to keep a connection. */
export const MAX_DISCARD_BYTES: number = 64 * 1024;
