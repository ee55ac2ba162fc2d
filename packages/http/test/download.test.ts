import type { IncomingMessage, ServerResponse } from 'node:http';
import { digestOf } from '@lkt/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient } from '../src/client.ts';
import type { DownloadOptions } from '../src/download.ts';
import { collect, failure, serve } from './support.ts';

const CONTENT = '0123456789';
const digest = digestOf(CONTENT);

/**
 * Downloads a file as text.
 * @param idle long by default, since the machine may be busy
 */
async function get(url: string, options: DownloadOptions = {}, idle = 10_000): Promise<string> {
  const client = createHttpClient({ backoff: [1, 1], idle });
  onTestFinished(async () => client[Symbol.asyncDispose]());
  return collect(await client.download(url, options));
}

/** A server that sends three bytes per connection. */
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
    ['with a known digest', {}, { digest }],
    ['verified by the caller', {}, { isCheckedByCaller: true }],
    ['with an ETag', { etag: '"1"' }, {}],
  ])('resumes content %s after a lost connection', async (_what, server, options) => {
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
    'downloads and compares the beginning again without a digest or ETag: %j',
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

  it('does not mix two versions', async () => {
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

  it('rejects a part that it did not request', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count === 1) stuttering(request, response, {});
      else if (request.headers.range === undefined) response.end(CONTENT);
      else response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(CONTENT);
    });
    expect(await get(url, { digest })).toBe(CONTENT);
  });

  it('retries after an idle timeout', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01');
    });
    expect((await failure(get(url, {}, 100))).message).toMatch(/no response in time/);
  });

  it('ends if a server falls silent, and does so again when asked for the rest', async () => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      if (count === 1) response.writeHead(200, { 'content-length': 10 }).write('01');
    });
    await using client = createHttpClient({ backoff: [1, 1, 1], idle: 100 });
    const content = await client.download(url);
    const error = await failure(Array.fromAsync(content));
    expect(error.message).toMatch(/no response in time/);
    expect(count).toBe(3);
  });

  it('verifies digest and size', async () => {
    const url = await serve((_request, response) => {
      response.end(CONTENT);
    });
    const other = digestOf('other');
    expect(await get(url, { digest, size: 10, maxSize: 10 })).toBe(CONTENT);
    expect(await failure(get(url, { digest: other }))).toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await failure(get(url, { size: 9 }))).toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await failure(get(url, { maxSize: 9 }))).toMatchObject({ code: 'NETWORK_FAILED' });
  });

  it('stops at the size limit without a stated length', async () => {
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
    expect((await failure(get(url, { size: 2000 }))).message).toMatch(/has more than 2000 bytes/);
  });

  it('retries content that ends early', async () => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      response.end(count === 1 ? CONTENT.slice(0, 4) : CONTENT);
    });
    expect(await get(url, { size: 10 }).catch(() => get(url, { size: 10 }))).toBe(CONTENT);
  });

  it('reports a missing file', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(404).end();
    });
    expect(await failure(get(`${url}/a?b`))).toMatchObject({
      code: 'NOT_FOUND',
      message: `${url}/a?…: HTTP status 404`,
    });
  });

  it('stops on abort', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01');
    });
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('stopped')), 50);
    expect((await failure(get(url, { signal: stop.signal }))).message).toBe('stopped');
  });
});
