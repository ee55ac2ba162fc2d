import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LktError } from '@lkt/core';

export interface WaitOptions {
  readonly address?: string;
  readonly port: number;
  /** What the server says first, such as `SSH-2.0`. Without it, the first byte that comes is enough. */
  readonly greeting?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until a server that speaks first answers on a published port, and returns what it said.
 *
 * Being able to connect proves nothing: QEMU accepts for the guest before anything listens in there.
 * @throws LktError RUN_FAILED when the time is over; whatever `signal` aborts with
 */
export async function waitForPort(options: WaitOptions): Promise<string> {
  const { address = '127.0.0.1', port, greeting = '', timeoutMs, signal } = options;
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    const said = await firstWords(address, port, Math.min(deadline - performance.now(), 5000));
    if (said !== '' && said.startsWith(greeting)) return said;
    await sleep(RETRY_MS, undefined, signal === undefined ? {} : { signal });
  }
  const what = greeting === '' ? 'nothing answers' : `nothing says "${greeting}"`;
  throw new LktError(
    'RUN_FAILED',
    `${what} on ${address}:${port} after ${Math.round(timeoutMs / 1000)} s`,
  );
}

const RETRY_MS = 100;

/** The first bytes a server sends; nothing if it cannot be reached, hangs up, or is silent for the time. */
function firstWords(host: string, port: number, milliseconds: number): Promise<string> {
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
