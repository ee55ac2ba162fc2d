import { Semaphore } from '@lkt/core';
import { exchange } from './exchange.ts';
import type { ResponseHead } from './head.ts';
import type { TransportResponse, TransportRequest, Transport } from './transport.ts';
import { openConnection, type Connection, type ConnectionOptions } from './connection.ts';
import { ConnectionError } from './connection-error.ts';

/**
 * How long a connection stays open for another request, unless the server states less; in
 * milliseconds.
 */
const KEEP_ALIVE_MS = 4000;

/** The connections to one server. */
interface Origin {
  readonly idle: Connection[];
  /** Limits the connections in use. */
  readonly inUse: Semaphore;
}

/** Options of a {@link DirectTransport}. */
export interface DirectOptions extends Omit<ConnectionOptions, 'signal'> {
  /** Maximum connections per server. */
  readonly connections: number;
}

/** HTTP/1.1 without a proxy, over persistent connections. */
export class DirectTransport implements Transport {
  readonly #options: DirectOptions;
  readonly #origins = new Map<string, Origin>();
  readonly #open = new Set<Connection>();
  #isClosed = false;

  constructor(options: DirectOptions) {
    this.#options = options;
  }

  async send(url: URL, request: TransportRequest): Promise<TransportResponse> {
    const { signal, method } = request;
    const origin = this.#origin(url);
    await origin.inUse.acquire();
    let connection: Connection;
    let isReused = false;
    try {
      this.#check(signal);
      const reused = this.#takeIdle(origin);
      isReused = reused !== undefined;
      connection = reused ?? (await this.#connect(url, signal));
    } catch (error) {
      origin.inUse.release();
      throw error;
    }
    let isReturned = false;
    try {
      connection.activate();
      return await exchange(connection, url, request, (head) => {
        isReturned = true;
        this.#return(origin, connection, head);
      });
    } catch (error) {
      if (!isReturned) throw error;
      // The server closed the idle connection while the request was in transit (RFC 9110, 9.2.2).
      const isStale = isReused && connection.isSilent && signal?.aborted !== true;
      if (!isStale || (method !== 'GET' && method !== 'HEAD')) throw error;
      return this.send(url, request);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }

  #check(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new ConnectionError('HTTP_CLOSED', 'the client was closed');
  }

  #origin({ origin: key }: URL): Origin {
    const known = this.#origins.get(key);
    if (known !== undefined) return known;
    const created = { idle: [], inUse: new Semaphore(this.#options.connections) };
    this.#origins.set(key, created);
    return created;
  }

  /** Returns an idle connection that can still be used. */
  #takeIdle({ idle }: Origin): Connection | undefined {
    for (let last = idle.pop(); last !== undefined; last = idle.pop()) {
      if (last.isUsable) return last;
      this.#drop(last);
    }
    return undefined;
  }

  #drop(connection: Connection): void {
    connection.destroy();
    this.#open.delete(connection);
  }

  async #connect(url: URL, signal: AbortSignal | undefined): Promise<Connection> {
    const connection = await openConnection(url, { ...this.#options, signal });
    if (this.#isClosed) connection.destroy();
    this.#check(signal);
    this.#open.add(connection);
    return connection;
  }

  /** Takes back a connection; without a head it cannot be reused. */
  #return(origin: Origin, connection: Connection, head: ResponseHead | undefined): void {
    if (head !== undefined && connection.isUsable && !this.#isClosed) {
      const [, seconds] = /timeout=(\d{1,6})/i.exec(head.headers.get('keep-alive') ?? '') ?? [];
      // The server's timeout counts from when it sent the response, so leave a margin.
      const keepAliveMs =
        seconds === undefined
          ? KEEP_ALIVE_MS
          : Math.min(KEEP_ALIVE_MS, Number(seconds) * 1000 - 1000);
      connection.park(keepAliveMs);
      origin.idle.push(connection);
    } else {
      this.#drop(connection);
    }
    origin.inUse.release();
  }
}
