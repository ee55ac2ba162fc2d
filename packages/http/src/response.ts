import { ByteCollector, LktError } from '@lkt/core';
import { redactUrl } from './address.ts';
import { toNetworkError } from './network-error.ts';
import type { TransportResponse } from './transport.ts';

/** The response to a request, whatever its status. Read it to its end or discard it. */
export interface HttpResponse {
  readonly status: number;
  /** The address after redirects. */
  readonly url: URL;
  /** Returns a header by its lower-case name; repeated headers are joined by commas. */
  readonly header: (name: string) => string | undefined;
  /**
   * Streams the body. A chunk is valid until the next one is requested.
   * @throws NETWORK_FAILED if the connection is lost
   */
  body(): AsyncIterable<Uint8Array>;
  /**
   * Returns the whole body.
   * @throws NETWORK_FAILED, also if it is longer than `limit` bytes
   */
  bytes(limit: number): Promise<Buffer>;
  /** Drops the body. */
  discard(): Promise<void>;
}

/** Returns a response whose errors are in the user's terms. */
export function responseFrom(
  url: URL,
  { status, header, content, discard }: TransportResponse,
  signal: AbortSignal | undefined,
): HttpResponse {
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      yield* content;
    } catch (error) {
      signal?.throwIfAborted();
      throw toNetworkError(url, error);
    }
  }
  return {
    status,
    url,
    header,
    body: read,
    bytes: async (limit) => {
      // A server chooses how small the parts are.
      const collector = new ByteCollector();
      for await (const part of read()) {
        if (collector.size + part.length > limit)
          throw new LktError('NETWORK_FAILED', `${redactUrl(url)} has more than ${limit} bytes`);
        collector.push(part);
      }
      return collector.bytes();
    },
    discard,
  };
}
