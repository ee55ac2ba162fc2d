import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { answersTlsInHttp } from '../src/tls-greeting.ts';
import { serve, serveSecurely } from './support.ts';

it('knows a server that answers TLS in plain HTTP', async () => {
  const address = await serve(() => undefined);
  expect(await answersTlsInHttp(new URL(address))).toBe(true);
});

it('takes no other answer for one', async () => {
  const { address } = await serveSecurely(() => undefined);
  expect(await answersTlsInHttp(new URL(address))).toBe(false);
  expect(await answersTlsInHttp(new URL(await answering('')))).toBe(false);
  expect(await answersTlsInHttp(new URL(await answering('HTT')))).toBe(false);
  expect(await answersTlsInHttp(new URL(await answering('SSH-2.0-x')))).toBe(false);
  expect(await answersTlsInHttp(new URL('https://127.0.0.1:1'))).toBe(false);
});

/** A server that says this and closes. */
async function answering(text: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}
