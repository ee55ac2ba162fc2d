import type { RequestOptions } from './client.ts';

/** A request as it is sent, whatever happens to it. */
export type Outgoing = Required<Pick<RequestOptions, 'method' | 'headers'>> &
  Pick<RequestOptions, 'body' | 'signal'>;

/** What came back. Its content must be read to its end, given up by its `return`, or discarded. */
export interface Answer {
  readonly status: number;
  /** A header by its name, in lower case; one that was sent several times joined by commas. */
  readonly header: (name: string) => string | undefined;
  /** Once. Each part stays as it is until the next one is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
  /** Reads a short rest, so that the connection can serve again, and gives up a long one. */
  readonly discard: () => Promise<void>;
}

/** A way to servers: straight, or through a proxy. What it throws is what the network said. */
export interface Transport {
  send(url: URL, request: Outgoing): Promise<Answer>;
  close(): Promise<void>;
}

/** More than this is not read of what nobody wants. */
export const DISCARDED: number = 64 * 1024;
