import type { Dispatcher } from 'undici';
import { tooSlow } from './connection-error.ts';
import { type SpeedLimit, SpeedMeter } from '@lkt/core';
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
  readonly #minSpeed: SpeedLimit;

  constructor(dispatcher: Dispatcher, minSpeed: SpeedLimit) {
    this.#dispatcher = dispatcher;
    this.#minSpeed = minSpeed;
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
      content: fastEnough(response.body, this.#minSpeed),
      discard: async () => {
        await response.body.dump({ limit: MAX_DISCARD_BYTES }).catch(() => undefined);
      },
    };
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

/** Yields a body, and fails once it is slower than the limit. */
async function* fastEnough(
  body: AsyncIterable<Uint8Array>,
  minSpeed: SpeedLimit,
): AsyncGenerator<Uint8Array> {
  const meter = new SpeedMeter(minSpeed);
  let start = performance.now();
  for await (const part of body) {
    if (!meter.isFastEnough(part.length, performance.now() - start)) throw tooSlow(minSpeed);
    yield part;
    start = performance.now();
  }
}
