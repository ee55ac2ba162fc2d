import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient, type HttpClient } from '../src/client.ts';
import type { HttpOptions } from '../src/options.ts';
import { SpeedMeter } from '@lkt/core';
import { collect, failure, serve } from './support.ts';

/** A server that sends a byte per millisecond is slow. */
const minSpeed = { bytesPerSecond: 1e6, time: 20 };
const REASON = 'it sent fewer than 1000000 bytes per second for 0.02 seconds';

function client(options: HttpOptions = {}): HttpClient {
  const made = createHttpClient({ backoff: [], minSpeed, ...options });
  onTestFinished(async () => made[Symbol.asyncDispose]());
  return made;
}

const CONTENT = 'x'.repeat(10_000);

/** Sends `content` byte by byte from the start that the request names. */
function trickle(request: IncomingMessage, response: ServerResponse, content = CONTENT): void {
  const start = startOf(request);
  const range = { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` };
  response.writeHead(start === 0 ? 200 : 206, {
    'content-length': content.length - start,
    ...(start === 0 ? {} : range),
  });
  let at = start;
  const timer = setInterval(() => response.write(content[at++] ?? ''), 1);
  response.on('close', () => clearInterval(timer));
}

function startOf({ headers }: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
}

/** A server that sends `start`, then `rest` again and again. */
async function repeating(start: string, rest: string): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    socket.write(start);
    const timer = setInterval(() => socket.write(rest), 1);
    socket.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

describe('a slow response', () => {
  it('ends, and its connection with it', async () => {
    let isClosed = false;
    const url = await serve((request, response) => {
      response.on('close', () => (isClosed = true));
      trickle(request, response);
    });
    const response = await client().request(url);
    expect(await failure(response.bytes(1e6))).toMatchObject({
      code: 'NETWORK_FAILED',
      message: `${url}/ cannot be reached: ${REASON}`,
      fix: 'run the command again; files that arrived whole are kept',
      isTemporary: true,
    });
    await expect.poll(() => isClosed).toBe(true);
  });

  it('ends behind a proxy', async () => {
    const proxy = await serve((request, response) => trickle(request, response));
    const response = await client({ env: { http_proxy: proxy } }).request('http://registry.test/');
    expect((await failure(response.bytes(1e6))).message).toContain(REASON);
  });

  const OK = 'HTTP/1.1 200 OK\r\n';
  const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
  it.each([
    ['head', `${OK}a: `, 'b', REASON],
    ['chunk length', `${CHUNKED}1;`, 'x', REASON],
    ['series of chunks', CHUNKED, '1\r\nx\r\n', REASON],
    ['trailer', `${CHUNKED}0\r\na: `, 'b', REASON],
    ['body without length', `${OK}\r\n`, 'x', REASON],
    [
      'series of interim responses',
      '',
      'HTTP/1.1 103 X\r\n\r\n',
      'the server sends only interim responses',
    ],
  ])('ends in a %s', async (_what, start, rest, reason) => {
    const url = await repeating(start, rest);
    const reading = client()
      .request(url)
      .then(async (response) => response.bytes(1e6));
    expect((await failure(reading)).message).toContain(reason);
  });

  it('is not one that begins late, or is read slowly', async () => {
    const url = await serve((_request, response) => {
      setTimeout(() => response.end(Buffer.alloc(2e6)), 60);
    });
    const response = await client({ minSpeed: { bytesPerSecond: 100, time: 50 } }).request(url);
    let size = 0;
    for await (const part of response.body()) {
      size += part.length;
      await delay(60);
    }
    expect(size).toBe(2e6);
  });
});

describe('a download', () => {
  it('resumes after a slow response', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count === 1) {
        trickle(request, response);
        return;
      }
      const start = startOf(request);
      const range = `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}`;
      response.writeHead(206, { 'content-range': range }).end(CONTENT.slice(start));
    });
    const http = client({ backoff: [1, 1, 1, 1] });
    const content = await http.download(url, { isCheckedByCaller: true });
    expect(await collect(content)).toBe(CONTENT);
    expect(count).toBeGreaterThan(1);
  });

  it('ends if every response is slow', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      trickle(request, response);
    });
    const http = client({ backoff: [1, 1] });
    const content = await http.download(url, { isCheckedByCaller: true });
    expect((await failure(collect(content))).message).toContain(REASON);
    expect(count).toBe(3);
  });

  it('ends if every connection is lost after a byte', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      const start = startOf(request);
      const range = `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}`;
      const headers = { 'content-range': range, 'content-length': CONTENT.length - start };
      response.writeHead(start === 0 ? 200 : 206, headers).write('x');
      setTimeout(() => response.destroy(), 2);
    });
    const content = await client({ backoff: [1, 1] }).download(url, { isCheckedByCaller: true });
    expect((await failure(collect(content))).message).toMatch(/cannot be reached/);
    expect(count).toBeLessThan(CONTENT.length);
  });
});

describe('the speed', () => {
  it('is measured over periods of waiting', () => {
    const meter = new SpeedMeter({ bytesPerSecond: 10, time: 1000 });
    // Less than a period says nothing.
    expect(meter.isFastEnough(0, 999)).toBe(true);
    expect(meter.isFastEnough(10, 1)).toBe(true);
    // A fast period does not help the next one.
    expect(meter.isFastEnough(1000, 1000)).toBe(true);
    expect(meter.isFastEnough(9, 1000)).toBe(false);
    // It recovers once the whole is fast enough.
    expect(meter.isFastEnough(5, 500)).toBe(false);
    expect(meter.isFastEnough(6, 500)).toBe(true);
  });
});
