import { connect, isIP, type Socket } from 'node:net';
import type { ConnectionOptions as TlsOptions, SecureContext } from 'node:tls';
import { ConnectionError, tooSlow } from './connection-error.ts';
import { ReadBuffer } from './read-buffer.ts';
import { type SpeedLimit, SpeedMeter } from '@lkt/core';

const CONNECT_TIMEOUT_MS = 15_000;
/** Bytes that a TLS socket buffers. */
const READ_BUFFER_BYTES = 512 * 1024;

/** Options of a connection. */
export interface ConnectionOptions {
  /** Trusted authorities, for https. */
  readonly secureContext: SecureContext | undefined;
  /** Milliseconds without a byte in either direction after which a wait fails. */
  readonly idle: number;
  readonly minSpeed: SpeedLimit;
  readonly signal: AbortSignal | undefined;
}

/**
 * Opens a connection to the server of an address.
 * @throws ConnectionError; errors of the operating system and TLS
 */
export async function openConnection(url: URL, options: ConnectionOptions): Promise<Connection> {
  const { secureContext, signal } = options;
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
  let connection: Connection | undefined;
  let socket: Socket;
  let buffer: ReadBuffer | undefined;
  if (isSecure) {
    // Loaded on demand: the TLS module takes a while.
    const tls = await import('node:tls');
    const secure: TlsOptions & { readonly highWaterMark: number } = {
      ...common,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      secureContext,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      highWaterMark: READ_BUFFER_BYTES,
    };
    socket = tls.connect(secure);
  } else {
    const into = new ReadBuffer();
    const onread = {
      buffer: (): Buffer => into.space(),
      callback: (count: number): boolean => {
        const hasSpace = into.receive(count);
        connection?.wake();
        return hasSpace;
      },
    };
    socket = connect({ ...common, onread });
    buffer = into;
  }
  connection = new Connection(socket, options, buffer);
  await opened(socket, isSecure ? 'secureConnect' : 'connect', signal);
  return connection;
}

async function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal | undefined,
): Promise<void> {
  const onAbort = (): void =>
    void socket.destroy(new ConnectionError('HTTP_CLOSED', 'the request was aborted'));
  const timer = setTimeout(
    () =>
      void socket.destroy(new ConnectionError('HTTP_CONNECT_TIMEOUT', 'the connection timed out')),
    CONNECT_TIMEOUT_MS,
  );
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, resolve);
      socket.once('error', reject);
      socket.once('close', () =>
        reject(new ConnectionError('HTTP_CLOSED', 'the connection was closed')),
      );
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** A connection that delivers bytes on request. */
export class Connection {
  readonly #socket: Socket;
  readonly #idle: number;
  readonly #minSpeed: SpeedLimit;
  /** Receives the bytes, if the socket itself does not buffer them. */
  readonly #buffer: ReadBuffer | undefined;
  /** Bytes that were put back. */
  #part: Uint8Array | undefined;
  /** Bytes of the part that were counted before they were put back. */
  #unreadBytes = 0;
  #failure: Error | undefined;
  #hasEnded = false;
  #parkedUntil = Infinity;
  #wake: (() => void) | undefined;
  /** Measures since the first byte of a response. */
  #meter: SpeedMeter | undefined;
  /** No byte has arrived since the last `activate`. */
  isSilent = true;

  constructor(
    socket: Socket,
    { idle, minSpeed }: Pick<ConnectionOptions, 'idle' | 'minSpeed'>,
    buffer?: ReadBuffer,
  ) {
    this.#socket = socket;
    this.#idle = idle;
    this.#minSpeed = minSpeed;
    this.#buffer = buffer;
    if (buffer === undefined)
      socket.on('readable', () => {
        // A socket reports its end only after a read.
        if (this.#wake === undefined && socket.readableLength === 0) socket.read();
        this.wake();
      });
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
    socket.on('error', (error) => {
      this.#failure ??= error;
      this.wake();
    });
    socket.on('timeout', () => {
      if (this.#wake !== undefined)
        this.destroy(new ConnectionError('HTTP_IDLE', 'no response in time'));
    });
  }

  /** Reports whether the connection is open, not parked too long, and without unexpected bytes. */
  get isUsable(): boolean {
    const { readableLength, destroyed } = this.#socket;
    const isOpen = !destroyed && !this.#hasEnded && performance.now() < this.#parkedUntil;
    const hasBytes = this.#part !== undefined || this.#buffer?.isEmpty === false;
    return isOpen && !hasBytes && readableLength === 0;
  }

  /** Tells the reader that bytes or the end have arrived. */
  wake(): void {
    this.#wake?.();
  }

  /** Returns the next bytes, valid until the next call; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const start = performance.now();
    for (;;) {
      const part = this.#take();
      if (part !== undefined) {
        this.isSilent = false;
        this.#measure(part.length - this.#unreadBytes, performance.now() - start);
        this.#unreadBytes = 0;
        return part;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return undefined;
      await this.#wait();
    }
  }

  /** Begins to wait for a response: the time until its first byte does not count as slow. */
  awaitResponse(): void {
    this.#meter = undefined;
  }

  /** Puts back the end of the last part for the next `read`. */
  unread(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#part = part;
    this.#unreadBytes = part.length;
  }

  /** Writes bytes, which must not change until it resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error) reject(this.#failure ?? error);
        else resolve();
      });
    });
  }

  /**
   * Marks the connection as idle, usable for some milliseconds: it does not keep the process alive
   * and watches for its end.
   */
  park(milliseconds: number): void {
    this.#parkedUntil = performance.now() + milliseconds;
    this.#socket.unref();
    this.#socket.resume();
  }

  /** Ends `park`. */
  activate(): void {
    this.#socket.ref();
    this.isSilent = true;
    this.#parkedUntil = Infinity;
  }

  /** Closes the connection. A pending read fails with `reason`, or reports the end. */
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
    if (this.#buffer === undefined) return (this.#socket.read() as Buffer | null) ?? undefined;
    const received = this.#buffer.take();
    // Continues to read after a full block, while this part is in use.
    if (received !== undefined) this.#socket.resume();
    return received;
  }

  #measure(bytes: number, waited: number): void {
    if (this.#meter === undefined) this.#meter = new SpeedMeter(this.#minSpeed);
    else if (!this.#meter.isFastEnough(bytes, waited)) throw tooSlow(this.#minSpeed);
  }

  async #wait(): Promise<void> {
    this.#socket.setTimeout(this.#idle);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#buffer !== undefined) this.#socket.resume();
    });
    this.#wake = undefined;
    this.#socket.setTimeout(0);
  }

  #end(): void {
    this.#hasEnded = true;
    this.wake();
  }
}
