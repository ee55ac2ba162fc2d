import type { SecureContext } from 'node:tls';
import { exchange } from './exchange.ts';
import type { Head } from './head.ts';
import type { Answer, Outgoing, Transport } from './transport.ts';
import { openWire, type Wire } from './wire.ts';
import { WireError } from './wire-error.ts';

/** How long a connection waits for the next request, unless the server says that it waits less. */
const KEPT = 4000;

interface Resting {
  readonly wire: Wire;
  /** By `performance.now()`. */
  readonly until: number;
}

/** What is known of one server. */
interface Origin {
  readonly resting: Resting[];
  readonly waiting: (() => void)[];
  free: number;
}

export interface DirectOptions {
  /** Connections to one server at a time. */
  readonly connections: number;
  /** Milliseconds without a byte after which a try is given up. */
  readonly idle: number;
  readonly secureContext: SecureContext | undefined;
}

/** Servers that are reached without a proxy, by connections that serve one request after the other. */
export class Direct implements Transport {
  readonly #options: DirectOptions;
  readonly #origins = new Map<string, Origin>();
  readonly #open = new Set<Wire>();
  #isClosed = false;

  constructor(options: DirectOptions) {
    this.#options = options;
  }

  async send(url: URL, request: Outgoing): Promise<Answer> {
    const { signal, method } = request;
    const origin = this.#origin(url);
    if (origin.free > 0) origin.free -= 1;
    else await new Promise<void>((resolve) => origin.waiting.push(resolve));
    for (;;) {
      const old = origin.resting.pop();
      let wire: Wire;
      try {
        this.#check(signal);
        if (old !== undefined && !(old.wire.isUsable && performance.now() < old.until)) {
          old.wire.destroy();
          this.#open.delete(old.wire);
          continue;
        }
        wire = old?.wire ?? (await this.#connect(url, signal));
      } catch (error) {
        release(origin);
        throw error;
      }
      let isBackAlready = false;
      try {
        wire.serve();
        return await exchange(wire, url, request, (head) => {
          isBackAlready = true;
          this.#back(origin, wire, head);
        });
      } catch (error) {
        if (!isBackAlready) throw error;
        // The server closed it while the request was on its way (RFC 9110, 9.2.2).
        const isStale = old !== undefined && wire.isSilent && signal?.aborted !== true;
        if (!isStale || (method !== 'GET' && method !== 'HEAD')) throw error;
        return await this.send(url, request);
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wire of this.#open) wire.destroy();
    this.#open.clear();
  }

  #check(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new WireError('HTTP_CLOSED', 'the client was closed');
  }

  #origin({ origin: key }: URL): Origin {
    const known = this.#origins.get(key);
    if (known !== undefined) return known;
    const made = { resting: [], waiting: [], free: this.#options.connections };
    this.#origins.set(key, made);
    return made;
  }

  async #connect(url: URL, signal: AbortSignal | undefined): Promise<Wire> {
    const { idle, secureContext } = this.#options;
    const wire = await openWire(url, { idle, secureContext, signal });
    if (this.#isClosed) wire.destroy();
    this.#check(signal);
    this.#open.add(wire);
    return wire;
  }

  /** Takes a connection back that served; without a head it is of no more use. */
  #back(origin: Origin, wire: Wire, head: Head | undefined): void {
    if (head !== undefined && wire.isUsable && !this.#isClosed) {
      const [, seconds] = /timeout=(\d{1,6})/i.exec(head.headers.get('keep-alive') ?? '') ?? [];
      // What the server says is from when it sent it.
      const kept = seconds === undefined ? KEPT : Math.min(KEPT, Number(seconds) * 1000 - 1000);
      wire.rest();
      origin.resting.push({ wire, until: performance.now() + kept });
    } else {
      wire.destroy();
      this.#open.delete(wire);
    }
    release(origin);
  }
}

function release(origin: Origin): void {
  const next = origin.waiting.shift();
  if (next === undefined) origin.free += 1;
  else next();
}
