import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { answersTlsWithHttp } from '../src/tls-probe.ts';
import { serveSecurely } from './support.ts';

it('returns false for any other response', async () => {
  const { address } = await serveSecurely(() => undefined);
  expect(await answersTlsWithHttp(new URL(address))).toBe(false);
  expect(await answersTlsWithHttp(new URL(await answering('')))).toBe(false);
  expect(await answersTlsWithHttp(new URL(await answering('HTT')))).toBe(false);
  expect(await answersTlsWithHttp(new URL(await answering('SSH-2.0-x')))).toBe(false);
  expect(await answersTlsWithHttp(new URL('https://127.0.0.1:1'))).toBe(false);
});

/** A server that sends this text and closes the connection. */
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
