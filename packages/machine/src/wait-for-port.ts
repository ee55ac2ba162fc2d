import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LktError } from '@lkt/core';

/** Options of `waitForPort`. */
export interface WaitOptions {
  readonly address?: string;
  readonly port: number;
  /** Start of the server's greeting, such as `SSH-2.0`; default: any byte. */
  readonly greeting?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits for the greeting of a server on a published port, and returns it.
 *
 * A connection alone proves nothing: QEMU accepts it before the guest listens.
 * @throws RUN_FAILED on time-out; the signal's reason
 */
export async function waitForPort(options: WaitOptions): Promise<string> {
  const { address = '127.0.0.1', port, greeting = '', timeoutMs, signal } = options;
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    const text = await firstBytes(address, port, Math.min(deadline - performance.now(), 5000));
    if (text !== '' && text.startsWith(greeting)) return text;
    await sleep(RETRY_MS, undefined, signal === undefined ? {} : { signal });
  }
  const what = greeting === '' ? 'no server answers' : `no server answers "${greeting}"`;
  throw new LktError(
    'RUN_FAILED',
    `${what} on ${address}:${port} after ${Math.round(timeoutMs / 1000)} s`,
  );
}

const RETRY_MS = 100;

/**
 * Returns the first bytes that a server sends; empty if it is unreachable, closes the connection,
 * or stays silent.
 */
function firstBytes(host: string, port: number, milliseconds: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.setTimeout(Math.max(1, milliseconds), () => socket.destroy());
    socket.once('data', (data) => {
      resolve(data.toString('latin1'));
      socket.destroy();
    });
    socket.once('error', () => resolve(''));
    socket.once('close', () => resolve(''));
  });
}
