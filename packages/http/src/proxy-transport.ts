import type { Dispatcher } from 'undici';
import {
  type TransportResponse,
  MAX_DISCARD_BYTES,
  type TransportRequest,
  type Transport,
} from './transport.ts';

type Body = NonNullable<Dispatcher.DispatchOptions['body']> | null;

/** HTTP through a proxy, by undici. */
export class ProxyTransport implements Transport {
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  async send(
    url: URL,
    { method, headers, body, signal }: TransportRequest,
  ): Promise<TransportResponse> {
    const response = await this.#dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: { ...headers },
      // undici accepts iterables; wrapping one in a stream would cost more than sending it.
      body: (typeof body === 'function' ? body() : (body ?? null)) as Body,
      signal,
    });
    return {
      status: response.statusCode,
      header: (name) => {
        const value = response.headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      content: response.body as AsyncIterable<Uint8Array>,
      discard: async () => {
        await response.body.dump({ limit: MAX_DISCARD_BYTES }).catch(() => undefined);
      },
    };
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}
