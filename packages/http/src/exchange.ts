import { contentOf, type Framing, framingOf, isReusable } from './framing.ts';
import { formatHead, type ResponseHead, readHead } from './head.ts';
import { type TransportResponse, MAX_DISCARD_BYTES, type TransportRequest } from './transport.ts';
import type { Connection } from './connection.ts';
import { broken, ConnectionError } from './connection-error.ts';

const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const LINE = Buffer.from('\r\n');

/**
 * Sends one request over a connection and returns the response as soon as its head arrives.
 * @param done called once with the head if the connection can be reused; otherwise it is closed
 */
export async function exchange(
  connection: Connection,
  url: URL,
  request: TransportRequest,
  done: (head: ResponseHead | undefined) => void,
): Promise<TransportResponse> {
  const { signal } = request;
  const onAbort = (): void =>
    connection.destroy(new ConnectionError('HTTP_CLOSED', 'the request was aborted'));
  let isOver = false;
  const end = (head?: ResponseHead): void => {
    if (isOver) return;
    isOver = true;
    signal?.removeEventListener('abort', onAbort);
    if (head === undefined) connection.destroy();
    done(head);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    const writer = new RequestWriter(connection, url, request);
    writer.start();
    const head = await readHead(connection);
    // A server that responds early does not want the rest of the body.
    writer.stop();
    const framing = framingOf(request.method, head);
    const kept = writer.isWhole && isReusable(head, framing) ? head : undefined;
    if (framing === 0) end(kept);
    return responseOf(connection, head, framing, () => end(kept), end);
  } catch (error) {
    end();
    throw error;
  }
}

function responseOf(
  connection: Connection,
  { status, headers }: ResponseHead,
  framing: Framing,
  onEnd: () => void,
  giveUp: () => void,
): TransportResponse {
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      if (framing !== 0) yield* contentOf(connection, framing);
      onEnd();
    } finally {
      giveUp();
    }
  }
  const content = read();
  return {
    status,
    header: (name) => headers.get(name),
    content,
    discard: async () => {
      try {
        let size = 0;
        if (framing !== 0 && !(typeof framing === 'number' && framing > MAX_DISCARD_BYTES))
          for await (const part of content) {
            size += part.length;
            if (size > MAX_DISCARD_BYTES) break;
          }
      } catch {
        // The body is not needed.
      } finally {
        giveUp();
      }
    },
  };
}

/** Writes a request while the response is awaited. */
class RequestWriter {
  readonly #connection: Connection;
  readonly #url: URL;
  readonly #request: TransportRequest;
  #isStopped = false;
  /** The whole request was passed to the operating system. */
  isWhole = false;

  constructor(connection: Connection, url: URL, request: TransportRequest) {
    this.#connection = connection;
    this.#url = url;
    this.#request = request;
  }

  start(): void {
    this.#send().catch((error: unknown) => {
      // The reader of the response receives the error.
      this.#connection.destroy(
        error instanceof Error ? error : new Error('the body cannot be read'),
      );
    });
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #send(): Promise<void> {
    const { method, headers, body } = this.#request;
    if (typeof body === 'function') {
      await this.#stream(body());
      return;
    }
    const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? Buffer.of());
    const isEmpty = bytes.length === 0 && (method === 'GET' || method === 'HEAD');
    const length: Record<string, string> = isEmpty
      ? {}
      : { 'content-length': String(bytes.length) };
    const head = formatHead(method, this.#url, { ...headers, ...length });
    this.isWhole = true;
    await this.#connection.write(Buffer.concat([Buffer.from(head, 'latin1'), bytes]));
  }

  async #stream(body: AsyncIterable<Uint8Array>): Promise<void> {
    const { method, headers } = this.#request;
    const length = headers['content-length'];
    const size = length === undefined ? undefined : Number(length);
    const coding: Record<string, string> =
      size === undefined ? { 'transfer-encoding': 'chunked' } : {};
    const head = formatHead(method, this.#url, { ...headers, ...coding });
    await this.#connection.write(Buffer.from(head, 'latin1'));
    this.isWhole = size === 0;
    let sent = 0;
    for await (const part of body) {
      if (this.#isStopped) return;
      if (part.length === 0) continue;
      sent += part.length;
      if (size !== undefined && sent > size)
        throw broken('the body is longer than its content-length');
      // Work of the source after its last byte, such as closing a file, is not awaited.
      if (sent === size) this.isWhole = true;
      await this.#connection.write(size === undefined ? chunk(part) : part);
    }
    if (size === undefined && !this.#isStopped) {
      this.isWhole = true;
      await this.#connection.write(LAST_CHUNK);
    } else if (size !== undefined && sent < size) {
      throw broken('the body is shorter than its content-length');
    }
  }
}

function chunk(part: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, LINE]);
}
