import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { onTestFinished, test } from 'vitest';
import { createHttpClient } from '../src/index.ts';

const ANSWERS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: a/b; c="d"\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\nWWW-Authenticate: Basic\r\n\r\nhello',
];

test('a response only fails with an LktError', async () => {
  let answer: Buffer = Buffer.of();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await using client = createHttpClient({ backoff: [], idle: 5000, env: {} });
  await fuzz(
    ANSWERS.map((text) => Buffer.from(text)),
    async (input) => {
      answer = input;
      const response = await client.request(url, { redirect: false });
      await response.bytes(2 ** 20);
    },
    (error) => error instanceof LktError,
  );
});
