import type { Dispatcher } from 'undici';
import { type Answer, DISCARDED, type Outgoing, type Transport } from './transport.ts';

type Body = NonNullable<Dispatcher.DispatchOptions['body']> | null;

/** Servers behind a proxy, by undici, which knows the ways of proxies. */
export class Proxied implements Transport {
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  async send(url: URL, { method, headers, body, signal }: Outgoing): Promise<Answer> {
    const response = await this.#dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: { ...headers },
      // undici takes what can be iterated over as it is; a stream around it would cost more than the sending.
      body: (typeof body === 'function' ? body() : (body ?? null)) as Body,
      ...(signal === undefined ? {} : { signal }),
    });
    return {
      status: response.statusCode,
      header: (name) => {
        const value = response.headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      content: response.body as AsyncIterable<Uint8Array>,
      discard: async () => {
        await response.body.dump({ limit: DISCARDED }).catch(() => undefined);
      },
    };
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}
