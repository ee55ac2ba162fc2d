import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { errorOf, MANIFEST, pushContent, putManifest, serve, type Served } from './support.ts';

const MIB = 2 ** 20;

function open(served: Served): Socket {
  const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  return socket;
}

/** Returns a manifest of about 4 MB. */
async function largeManifest(served: Served): Promise<string> {
  return pushContent(served, 'a', 'x', { annotations: { text: 'x'.repeat(4_000_000) } });
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n`;
const put = (framing: string): string =>
  `PUT /v2/a/manifests/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${MANIFEST}\r\n${framing}\r\n\r\n`;

test('buffers a manifest in chunks of one byte in little memory', { timeout: 60_000 }, async () => {
  await using served = await serve();
  const before = process.memoryUsage().heapUsed;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().heapUsed)), 20);
  const socket = open(served);
  const chunks = Buffer.from(`${'1\r\nx\r\n'.repeat(MIB)}0\r\n\r\n`);
  socket.write(put('transfer-encoding: chunked'));
  socket.write(chunks);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toContain('MANIFEST_INVALID');
  clearInterval(timer);
  socket.destroy();
  expect(peak - before).toBeLessThan(64 * MIB);
});

test('rejects large manifests while others fill the memory for them', async () => {
  await using served = await serve();
  const size = 4 * MIB;
  const sockets = Array.from({ length: 32 }, () => open(served));
  const sent = sockets.map(
    async (socket) =>
      new Promise<void>((resolve) => {
        socket.write(put(`content-length: ${size}`));
        socket.write(Buffer.alloc(size - 1, 'x'), () => resolve());
      }),
  );
  await Promise.all(sent);
  const large = await largeManifest(served);
  const small = await pushContent(served, 'a', 'y');
  await expect
    .poll(async () => errorOf(await putManifest(served, 'a', '2', large)))
    .toBe('429 TOOMANYREQUESTS');
  expect((await putManifest(served, 'a', '3', small)).status).toBe(201);
  for (const socket of sockets) socket.destroy();
  await expect.poll(async () => (await putManifest(served, 'a', '2', large)).status).toBe(201);
});

test('rejects readers of large manifests while others hold as much', async () => {
  await using served = await serve();
  await putManifest(served, 'a', '1', await largeManifest(served));
  await putManifest(served, 'a', '2', await pushContent(served, 'a', 'y'));
  const sockets = Array.from({ length: 40 }, () => open(served).pause());
  // The kernel's buffers may take the first manifest whole, but not three.
  for (const socket of sockets) socket.write(`${get('/v2/a/manifests/1')}\r\n`.repeat(3));
  await expect
    .poll(async () => (await served.fetch('/v2/a/manifests/1')).status, { timeout: 60_000 })
    .toBe(429);
  expect((await served.fetch('/v2/a/manifests/2')).status).toBe(200);
  for (const socket of sockets) socket.destroy();
  await expect.poll(async () => (await served.fetch('/v2/a/manifests/1')).status).toBe(200);
});

test('handles pipelined requests in order, and ends a connection with too many', async () => {
  await using served = await serve();
  await putManifest(served, 'a', '1', await largeManifest(served));
  await putManifest(served, 'a', '2', await pushContent(served, 'a', 'y'));
  const polite = open(served);
  let answer = '';
  polite.on('data', (data) => (answer += data.toString('latin1')));
  polite.write(
    `${get('/v2/a/manifests/1')}\r\n${get('/v2/b/tags/list')}\r\n${get('/v2/')}connection: close\r\n\r\n`,
  );
  await once(polite, 'close');
  expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
    '200',
    '404',
    '200',
  ]);

  const before = process.memoryUsage().arrayBuffers;
  const greedy = open(served);
  greedy.write(`${get('/v2/a/manifests/1')}\r\n`.repeat(200));
  greedy.resume();
  await once(greedy, 'close');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB);
  expect((await served.fetch('/v2/a/manifests/2')).status).toBe(200);
});
