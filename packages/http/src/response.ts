import { LktError } from '@lkt/core';
import { readableUrl } from './address.ts';
import { networkError } from './network-error.ts';
import type { Answer } from './transport.ts';

/** What a server answered, whatever the status. One that is not read to its end must be discarded. */
export interface HttpResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  /** A header by its name, in lower case; one that was sent several times joined by commas. */
  readonly header: (name: string) => string | undefined;
  /**
   * The body as it comes. Each part stays as it is until the next one is asked for, and no longer.
   * @throws LktError NETWORK_FAILED when the connection breaks
   */
  body(): AsyncIterable<Uint8Array>;
  /** The whole body. @throws LktError NETWORK_FAILED, also when it has more than `limit` bytes */
  bytes(limit: number): Promise<Buffer>;
  /** Gives up the body. */
  discard(): Promise<void>;
}

export function responseFrom(
  url: URL,
  { status, header, content, discard }: Answer,
  signal: AbortSignal | undefined,
): HttpResponse {
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      yield* content;
    } catch (error) {
      signal?.throwIfAborted();
      throw networkError(url, error);
    }
  }
  return {
    status,
    url,
    header,
    body: read,
    bytes: async (limit) => {
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of read()) {
        size += part.length;
        if (size > limit)
          throw new LktError('NETWORK_FAILED', `${readableUrl(url)} has more than ${limit} bytes`);
        parts.push(Buffer.from(part));
      }
      return Buffer.concat(parts, size);
    },
    discard,
  };
}
