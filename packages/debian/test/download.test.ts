import { createServer, type RequestListener } from 'node:http';
import { LktError } from '@lkt/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { download, type DownloadOptions } from '../src/download.ts';
import type { Mirror } from '../src/mirror.ts';
import { collect } from './support.ts';

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}/debian`;
}

function mirror(...addresses: readonly string[]): Mirror {
  return { source: 'the test', archives: { debian: addresses, 'debian-security': [] } };
}

const OPTIONS: DownloadOptions = { backoff: [1, 1], idle: 200 };
const get = async (from: Mirror, options: DownloadOptions = {}): Promise<string> =>
  (await download(from, 'debian', 'pool/a', collect, { ...OPTIONS, ...options })).toString();

describe('download', () => {
  it('counts bytes, and takes back those of a try that broke', async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(200, { 'content-length': 10 }).write('01234');
      if (tries < 3) setTimeout(() => response.destroy(), 10);
      else response.end('56789');
    });
    let bytes = 0;
    const counts: number[] = [];
    const onBytes = (count: number): void => {
      bytes += count;
      counts.push(count);
    };
    expect(await get(mirror(address), { onBytes })).toBe('0123456789');
    expect([tries, bytes]).toEqual([3, 10]);
    expect(counts).toContain(-5);
  });

  it.each([500, 503, 429])('tries again on status %i', async (status) => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(tries < 3 ? status : 200).end('x');
    });
    expect(await get(mirror(address))).toBe('x');
  });

  it('gives up in the end, and does not print a password', async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(500).end();
    });
    await expect(get(mirror(address))).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
    expect(tries).toBe(3);
    const secret = 'http://user:secret@127.0.0.1:1/debian';
    const error: unknown = await get(mirror(secret)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
    expect(String(error)).not.toContain('secret');
  });

  it('does not wait for a server that says nothing', async () => {
    const address = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01234');
    });
    const error: unknown = await get(mirror(address), { idle: 50 }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'NETWORK_FAILED',
      cause: { message: 'no answer for 0.05 seconds' },
    });
  });

  it('does not try again what is not there', async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(404).end();
    });
    await expect(get(mirror(address))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(tries).toBe(1);
  });

  it('goes on to the next address', async () => {
    const missing = await serve((_request, response) => response.writeHead(404).end());
    const wrong = await serve((_request, response) => response.end('wrong'));
    const good = await serve((_request, response) => response.end('good'));
    expect(await download(mirror(missing, wrong, good), 'debian', 'x', consume, OPTIONS)).toBe(
      'good',
    );
    await expect(
      download(mirror(missing, wrong), 'debian', 'x', consume, OPTIONS),
    ).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });

  it("throws the consumer's error at once", async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.end('x');
    });
    await expect(
      download(mirror(address, address), 'debian', 'x', full, OPTIONS),
    ).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    expect(tries).toBeLessThanOrEqual(1);
  });

  it('stops by its signal', async () => {
    const address = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01234');
    });
    const signal = AbortSignal.timeout(50);
    await expect(get(mirror(address), { signal, idle: 10_000 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});

async function consume(content: AsyncIterable<Uint8Array>): Promise<string> {
  const text = (await collect(content)).toString();
  if (text === 'wrong') throw new LktError('DIGEST_MISMATCH', 'it is wrong');
  return text;
}

async function full(): Promise<never> {
  throw new LktError('DISK_FULL', 'no space');
}
