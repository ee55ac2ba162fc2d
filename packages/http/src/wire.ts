import { connect, isIP, type Socket } from 'node:net';
import type { ConnectionOptions, SecureContext } from 'node:tls';
import { WireError } from './wire-error.ts';

const CONNECT = 15_000;
/** A few large reads take much less time than many small ones, into memory that is there already. */
const BUFFER = 512 * 1024;

export interface WireOptions {
  /** Whom to believe who the server is, for https. */
  readonly secureContext: SecureContext | undefined;
  /** Milliseconds without a byte, in either direction, after which a wait is given up. */
  readonly idle: number;
  readonly signal: AbortSignal | undefined;
}

/** Opens a connection to the server of an address. @throws what the operating system or TLS says; WireError */
export async function openWire(url: URL, options: WireOptions): Promise<Wire> {
  const { secureContext, idle, signal } = options;
  signal?.throwIfAborted();
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  const isSecure = url.protocol === 'https:';
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
  const common = {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    autoSelectFamily: true,
  };
  let wire: Wire | undefined;
  let socket: Socket;
  if (isSecure) {
    // What speaks TLS takes a while to load.
    const tls = await import('node:tls');
    const secure: ConnectionOptions & { readonly highWaterMark: number } = {
      ...common,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(secureContext === undefined ? {} : { secureContext }),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      highWaterMark: BUFFER,
    };
    socket = tls.connect(secure);
  } else {
    const onread = {
      buffer: Buffer.allocUnsafeSlow(BUFFER),
      callback: (count: number, buffer: Uint8Array): boolean => {
        wire?.arrive(buffer.subarray(0, count));
        // Nothing more comes before this was used.
        return false;
      },
    };
    socket = connect({ ...common, onread });
  }
  wire = new Wire(socket, idle, !isSecure);
  await opened(socket, isSecure ? 'secureConnect' : 'connect', signal);
  return wire;
}

async function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal | undefined,
): Promise<void> {
  const onAbort = (): void => void socket.destroy(new WireError('HTTP_CLOSED', 'given up'));
  const timer = setTimeout(
    () => void socket.destroy(new WireError('HTTP_CONNECT_TIMEOUT', 'no connection in time')),
    CONNECT,
  );
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new WireError('HTTP_CLOSED', 'the connection was closed')));
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** A connection whose bytes are asked for, one part after the other. */
export class Wire {
  readonly #socket: Socket;
  readonly #idle: number;
  /** Whether parts are handed in as they come, all in the same memory. */
  readonly #isPushed: boolean;
  #part: Uint8Array | undefined;
  #failure: Error | undefined;
  #hasEnded = false;
  #wake: (() => void) | undefined;
  /** Whether nothing has come since it was last asked to serve. */
  isSilent = true;

  constructor(socket: Socket, idle: number, isPushed: boolean) {
    this.#socket = socket;
    this.#idle = idle;
    this.#isPushed = isPushed;
    const wake = (): void => this.#wake?.();
    if (!isPushed)
      socket.on('readable', () => {
        // Its end is not told of before it is asked for.
        if (this.#wake === undefined && socket.readableLength === 0) socket.read();
        wake();
      });
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
    socket.on('error', (error) => {
      this.#failure ??= error;
      wake();
    });
    socket.on('timeout', () => {
      if (this.#wake !== undefined) this.destroy(new WireError('HTTP_IDLE', 'no answer in time'));
    });
  }

  /** Whether it is open, and nothing came that nobody asked for. */
  get isUsable(): boolean {
    const { readableLength, destroyed } = this.#socket;
    return !destroyed && !this.#hasEnded && this.#part === undefined && readableLength === 0;
  }

  arrive(part: Uint8Array): void {
    this.#part = part;
    this.#wake?.();
  }

  /** The next bytes, which stay as they are until this is called again; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const part = this.#take();
      if (part !== undefined) {
        this.isSilent = false;
        return part;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return undefined;
      await this.#wait();
    }
  }

  /** Gives back the end of what was read, for the next `read`. */
  unread(part: Uint8Array): void {
    if (part.length > 0) this.#part = part;
  }

  /** When this is done, the bytes may change. */
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error) reject(this.#failure ?? error);
        else resolve();
      });
    });
  }

  /** For as long as nobody uses it, it keeps no process alive, and is watched for its end. */
  rest(): void {
    this.#socket.unref();
    this.#socket.resume();
  }

  /** The opposite of `rest`. */
  serve(): void {
    this.#socket.ref();
    this.isSilent = true;
  }

  destroy(reason?: Error): void {
    this.#failure ??= reason;
    this.#socket.destroy();
    this.#end();
  }

  #take(): Uint8Array | undefined {
    const part = this.#part;
    if (part !== undefined) {
      this.#part = undefined;
      return part;
    }
    return this.#isPushed ? undefined : ((this.#socket.read() as Buffer | null) ?? undefined);
  }

  async #wait(): Promise<void> {
    this.#socket.setTimeout(this.#idle);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#isPushed) this.#socket.resume();
    });
    this.#wake = undefined;
    this.#socket.setTimeout(0);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }
}
