import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { collect } from './support.ts';
import { serve, mirror, from, get } from './download-fixture.ts';

describe('download', () => {
  it.each([true, false])(
    'resumes a broken connection, with range requests: %s',
    async (byRange) => {
      const asked: (string | undefined)[] = [];
      const address = await serve(({ headers: { range } }, response) => {
        asked.push(range);
        if (range !== undefined && byRange)
          response.writeHead(206, { 'content-range': 'bytes 5-9/10' }).end('56789');
        else response.writeHead(200, { etag: '"1"', 'content-length': 10 }).write('01234');
        if (asked.length < 3) setTimeout(() => response.destroy(), 10);
        else response.end('56789');
      });
      const counts: number[] = [];
      const onBytes = (count: number): void => void counts.push(count);
      expect(await get(mirror(address), { onBytes })).toBe('0123456789');
      expect(counts).toEqual([5, 5]);
      expect(asked).toEqual(
        byRange ? [undefined, 'bytes=5-'] : [undefined, 'bytes=5-', 'bytes=5-'],
      );
    },
  );

  it('subtracts the bytes of an address that failed', async () => {
    const wrong = await serve((_request, response) => response.end('wrong'));
    const good = await serve((_request, response) => response.end('good'));
    const counts: number[] = [];
    const onBytes = (count: number): void => void counts.push(count);
    expect(await from(mirror(wrong, good), consume, { onBytes })).toBe('good');
    expect(counts).toEqual([5, -5, 4]);
  });

  it.each([500, 503, 429])('retries on status %i', async (status) => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(tries < 3 ? status : 200).end('x');
    });
    expect(await get(mirror(address))).toBe('x');
  });

  it('fails after its retries, without printing a password', async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(500).end();
    });
    await expect(get(mirror(address))).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
    expect(tries).toBe(3);
    const secret = 'http://user:secret@127.0.0.1:1/debian';
    const error: unknown = await get(mirror(secret)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'NETWORK_FAILED',
      fix: expect.stringMatching(
        /^check the address .*; or set LKT_DEBIAN_MIRROR to another mirror$/,
      ),
    });
    expect(String(error)).not.toContain('secret');
  });

  it('does not wait for a silent server', async () => {
    const address = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01234');
    });
    const error: unknown = await get(mirror(address), { idle: 50 }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
    expect(String(error)).toContain('no response in time');
  });

  it('does not retry a missing file', async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.writeHead(404).end();
    });
    await expect(get(mirror(address))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(tries).toBe(1);
  });

  it('tries the next address', async () => {
    const missing = await serve((_request, response) => response.writeHead(404).end());
    const wrong = await serve((_request, response) => response.end('wrong'));
    const good = await serve((_request, response) => response.end('good'));
    expect(await from(mirror(missing, wrong, good), consume)).toBe('good');
    await expect(from(mirror(missing, wrong), consume)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });

  it("throws the consumer's error at once", async () => {
    let tries = 0;
    const address = await serve((_request, response) => {
      tries += 1;
      response.end('x');
    });
    await expect(from(mirror(address, address), full)).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    expect(tries).toBeLessThanOrEqual(1);
  });

  it('stops on its signal', async () => {
    const address = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('01234');
    });
    const signal = AbortSignal.timeout(50);
    await expect(get(mirror(address), { signal })).rejects.toMatchObject({
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
