import type { IncomingMessage, ServerResponse } from 'node:http';
import { digestOf } from '@lkt/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient } from '../src/client.ts';
import type { DownloadOptions } from '../src/download.ts';
import { collect, failure, serve } from './support.ts';

const CONTENT = '0123456789';
const digest = digestOf(CONTENT);

/** @param idle long enough for a machine that has other things to do, but where it is what the test is about */
async function get(url: string, options: DownloadOptions = {}, idle = 10_000): Promise<string> {
  const client = createHttpClient({ backoff: [1, 1], idle });
  onTestFinished(async () => client[Symbol.asyncDispose]());
  return collect((await client.download(url, options)).content);
}

/** Gives three bytes a connection. */
function stuttering(
  request: IncomingMessage,
  response: ServerResponse,
  { ranges = true, etag, content = CONTENT }: { ranges?: boolean; etag?: string; content?: string },
): void {
  const asked = ranges ? /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] : undefined;
  const start = Number(asked ?? 0);
  const headers = {
    ...(etag === undefined ? {} : { etag }),
    ...(asked === undefined ? {} : { 'content-range': `bytes ${start}-9/10` }),
    'content-length': content.length - start,
  };
  response.writeHead(asked === undefined ? 200 : 206, headers);
  const end = start + 3;
  response.write(content.slice(start, end));
  setTimeout(() => (end < content.length ? response.destroy() : response.end()), 5);
}

describe('download', () => {
  it.each<[string, { etag?: string }, DownloadOptions]>([
    ['whose digest is known', {}, { digest }],
    ['whose digest the caller checks', {}, { isCheckedByCaller: true }],
    ['that has an ETag', { etag: '"1"' }, {}],
  ])('goes on where the connection broke, for content %s', async (_what, server, options) => {
    const ranges: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      ranges.push(request.headers.range);
      stuttering(request, response, server);
    });
    let bytes = 0;
    const onBytes = (count: number): number => (bytes += count);
    expect(await get(url, { ...options, onBytes })).toBe(CONTENT);
    expect(bytes).toBe(10);
    expect(ranges).toEqual([undefined, 'bytes=3-', 'bytes=6-', 'bytes=9-']);
  });

  it.each([{ ranges: false }, { ranges: true }])(
    'reads again what must be the same, where nothing else says so: %j',
    async (server) => {
      let count = 0;
      const url = await serve((request, response) => {
        count += 1;
        if (count % 3 === 0) response.end(CONTENT);
        else stuttering(request, response, server);
      });
      expect(await get(url)).toBe(CONTENT);
    },
  );

  it('is not made of two versions', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count === 1) stuttering(request, response, {});
      else response.end('abcdefghij');
    });
    expect((await failure(get(url))).message).toBe(`${url}/ changed while it was read`);
    count = 0;
    expect((await failure(get(url, { digest }))).message).toBe(`${url}/ changed while it was read`);
  });

  it('takes no other part than it asked for', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count === 1) stuttering(request, response, {});
      else if (request.headers.range === undefined) response.end(CONTENT);
      else response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(CONTENT);
    });
    expect(await get(url, { digest })).toBe(CONTENT);
  });

  it('ends a try in which nothing comes', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01');
    });
    expect((await failure(get(url, {}, 100))).message).toMatch(/no answer in time/);
  });

  it('is checked', async () => {
    const url = await serve((_request, response) => {
      response.end(CONTENT);
    });
    const other = digestOf('other');
    expect(await get(url, { digest, size: 10, maxSize: 10 })).toBe(CONTENT);
    expect(await failure(get(url, { digest: other }))).toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await failure(get(url, { size: 9 }))).toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await failure(get(url, { maxSize: 9 }))).toMatchObject({ code: 'NETWORK_FAILED' });
  });

  it('is given up as soon as it is too long, though the server does not say how long it is', async () => {
    let isClosed = false;
    const url = await serve((_request, response) => {
      const timer = setInterval(() => response.write('x'.repeat(1000)), 1);
      response.on('close', () => {
        clearInterval(timer);
        isClosed = true;
      });
    });
    expect((await failure(get(url, { maxSize: 2000 }))).message).toMatch(/more than 2000 bytes/);
    await expect.poll(() => isClosed).toBe(true);
    expect((await failure(get(url, { size: 2000 }))).message).toMatch(/more bytes, not 2000/);
  });

  it('that ends too early is asked for again', async () => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      response.end(count === 1 ? CONTENT.slice(0, 4) : CONTENT);
    });
    expect(await get(url, { size: 10 }).catch(() => get(url, { size: 10 }))).toBe(CONTENT);
  });

  it('of what is not there says so', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(404).end();
    });
    expect(await failure(get(`${url}/a?b`))).toMatchObject({
      code: 'NOT_FOUND',
      message: `${url}/a?…: HTTP status 404`,
    });
  });

  it('stops when told to', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01');
    });
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('stopped')), 50);
    expect((await failure(get(url, { signal: stop.signal }))).message).toBe('stopped');
  });
});
