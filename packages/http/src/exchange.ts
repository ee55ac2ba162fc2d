import { contentOf, type Framing, framingOf, isKept } from './framing.ts';
import { formatHead, type Head, readHead } from './head.ts';
import { type Answer, DISCARDED, type Outgoing } from './transport.ts';
import type { Wire } from './wire.ts';
import { WireError } from './wire-error.ts';

const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const LINE = Buffer.from('\r\n');

/**
 * Sends one request over a connection, and gives the answer as soon as its head is there.
 * @param done told once whether the connection can serve again; if not, it is closed already
 */
export async function exchange(
  wire: Wire,
  url: URL,
  request: Outgoing,
  done: (head: Head | undefined) => void,
): Promise<Answer> {
  const { signal } = request;
  const onAbort = (): void =>
    wire.destroy(new WireError('HTTP_CLOSED', 'the request was given up'));
  let isOver = false;
  const end = (head?: Head): void => {
    if (isOver) return;
    isOver = true;
    signal?.removeEventListener('abort', onAbort);
    if (head === undefined) wire.destroy();
    done(head);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    const sending = new Sending(wire, url, request);
    sending.start();
    const head = await readHead(wire);
    // Who answers before all was sent does not want the rest.
    sending.stop();
    const framing = framingOf(request.method, head);
    const kept = sending.isWhole && isKept(head, framing) ? head : undefined;
    if (framing === 0) end(kept);
    return answerFrom(wire, head, framing, () => end(kept), end);
  } catch (error) {
    end();
    throw error;
  }
}

function answerFrom(
  wire: Wire,
  { status, headers }: Head,
  framing: Framing,
  onEnd: () => void,
  giveUp: () => void,
): Answer {
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      if (framing !== 0) yield* contentOf(wire, framing);
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
        if (framing !== 0 && !(typeof framing === 'number' && framing > DISCARDED))
          for await (const part of content) {
            size += part.length;
            if (size > DISCARDED) break;
          }
      } catch {
        // Nobody wants it.
      } finally {
        giveUp();
      }
    },
  };
}

/** A request on its way, which goes on while the answer is waited for. */
class Sending {
  readonly #wire: Wire;
  readonly #url: URL;
  readonly #request: Outgoing;
  #isStopped = false;
  /** Whether all of it was given to the operating system. */
  isWhole = false;

  constructor(wire: Wire, url: URL, request: Outgoing) {
    this.#wire = wire;
    this.#url = url;
    this.#request = request;
  }

  start(): void {
    this.#send().catch((error: unknown) => {
      // Whoever reads hears of it.
      this.#wire.destroy(error instanceof Error ? error : new Error('the body cannot be read'));
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
    const length = isEmpty ? {} : { 'content-length': String(bytes.length) };
    const head = formatHead(method, this.#url, { ...headers, ...length });
    this.isWhole = true;
    await this.#wire.write(Buffer.concat([Buffer.from(head, 'latin1'), bytes]));
  }

  async #stream(body: AsyncIterable<Uint8Array>): Promise<void> {
    const { method, headers } = this.#request;
    const length = headers['content-length'];
    const size = length === undefined ? undefined : Number(length);
    const coding = size === undefined ? { 'transfer-encoding': 'chunked' } : {};
    const head = formatHead(method, this.#url, { ...headers, ...coding });
    await this.#wire.write(Buffer.from(head, 'latin1'));
    this.isWhole = size === 0;
    let sent = 0;
    for await (const part of body) {
      if (this.#isStopped) return;
      if (part.length === 0) continue;
      sent += part.length;
      if (size !== undefined && sent > size)
        throw new WireError('HTTP_BROKEN', 'the body is longer than was said');
      // What follows the last byte, such as closing a file, is not waited for.
      if (sent === size) this.isWhole = true;
      await this.#wire.write(size === undefined ? chunk(part) : part);
    }
    if (size === undefined && !this.#isStopped) {
      this.isWhole = true;
      await this.#wire.write(LAST_CHUNK);
    } else if (size !== undefined && sent < size) {
      throw new WireError('HTTP_BROKEN', 'the body is shorter than was said');
    }
  }
}

function chunk(part: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, LINE]);
}
