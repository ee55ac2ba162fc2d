import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { createHttpClient } from '../src/index.ts';

test('reads a body of chunks of one byte in little memory', { timeout: 60_000 }, async () => {
  const count = 1_000_000;
  const body = Buffer.from(`${'1\r\nx\r\n'.repeat(count)}0\r\n\r\n`);
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      socket.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using http = createHttpClient();
  const before = process.memoryUsage().heapUsed;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().heapUsed)), 20);
  try {
    const { port } = server.address() as AddressInfo;
    const response = await http.request(`http://127.0.0.1:${port}/`);
    const bytes = await response.bytes(count);
    expect(bytes.equals(Buffer.alloc(count, 'x'))).toBe(true);
  } finally {
    clearInterval(timer);
    server.close();
  }
  expect(peak - before).toBeLessThan(64 * 2 ** 20);
});
