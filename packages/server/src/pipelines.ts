import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Maximum requests of a connection without a response. Usual clients send one. */
const MAX_PIPELINED = 16;

interface Pipeline {
  count: number;
  last: Promise<void>;
}

/**
 * The connections on which requests arrived before the responses to earlier ones (RFC 9112, 9.3.2).
 * They are handled one after another: otherwise a client that reads nothing has the server prepare
 * a thousand responses with one packet.
 */
export class Pipelines {
  readonly #open = new WeakMap<Socket, Pipeline>();

  /** Handles a request after the responses before it. Ends a connection with too many requests. */
  add({ socket }: IncomingMessage, response: ServerResponse, handle: () => Promise<void>): void {
    const pipeline = this.#open.get(socket) ?? { count: 0, last: Promise.resolve() };
    this.#open.set(socket, pipeline);
    if (pipeline.count === MAX_PIPELINED) socket.destroy();
    if (socket.destroyed) return;
    pipeline.count += 1;
    const closed = new Promise<void>((resolve) => response.once('close', resolve));
    const before = pipeline.last;
    const run = async (): Promise<void> => {
      await before;
      if (socket.destroyed) return;
      await handle();
      await closed;
      pipeline.count -= 1;
    };
    pipeline.last = run();
  }
}
