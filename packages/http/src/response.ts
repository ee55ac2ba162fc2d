import { LktError } from '@lkt/core';
import type { Dispatcher } from 'undici';
import { readableUrl } from './address.ts';
import { networkError } from './network-error.ts';

/** What a server answered, whatever the status. One that is not read to its end must be discarded. */
export interface HttpResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  /** A header by its name, in lower case; one that was sent several times joined by commas. */
  readonly header: (name: string) => string | undefined;
  /** The body as it comes. @throws LktError NETWORK_FAILED when the connection breaks */
  body(): AsyncIterable<Uint8Array>;
  /** The whole body. @throws LktError NETWORK_FAILED, also when it has more than `limit` bytes */
  bytes(limit: number): Promise<Buffer>;
  /** Gives up the body. */
  discard(): Promise<void>;
}

export function responseFrom(
  url: URL,
  { statusCode, headers, body }: Dispatcher.ResponseData,
  signal: AbortSignal | undefined,
): HttpResponse {
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) yield chunk as Uint8Array;
    } catch (error) {
      signal?.throwIfAborted();
      throw networkError(url, error);
    }
  }
  return {
    status: statusCode,
    url,
    header: (name) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: read,
    bytes: async (limit) => {
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of read()) {
        size += part.length;
        if (size > limit)
          throw new LktError('NETWORK_FAILED', `${readableUrl(url)} has more than ${limit} bytes`);
        parts.push(part);
      }
      return Buffer.concat(parts, size);
    },
    discard: async () => {
      // A short rest is read, so that the connection can serve again; of a long one nothing more is.
      await body.dump({ limit: 64 * 1024 }).catch(() => undefined);
    },
  };
}
