import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient, type HttpClient } from '../src/client.ts';
import { failure, serve } from './support.ts';
import type { HttpOptions } from '../src/options.ts';

function client(options: HttpOptions = {}): HttpClient {
  const made = createHttpClient({ backoff: [1, 1], ...options });
  onTestFinished(async () => made[Symbol.asyncDispose]());
  return made;
}

async function text(http: HttpClient, url: string, authorization?: string): Promise<string> {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const response = await http.request(url, { headers });
  return `${response.status} ${(await response.bytes(1000)).toString()}`;
}

async function* body(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('a');
  yield Buffer.from('b');
}

describe('retries', () => {
  it.each([408, 429, 500, 502, 503, 504])('follow status %i, with a new body', async (status) => {
    const bodies: string[] = [];
    const url = await serve(async (request, response) => {
      let received = '';
      for await (const chunk of request) received += String(chunk);
      bodies.push(received);
      response.writeHead(bodies.length < 3 ? status : 200).end('x');
    });
    expect((await client().request(url, { method: 'PUT', body })).status).toBe(200);
    expect(bodies).toEqual(['ab', 'ab', 'ab']);
  });

  it('return the last response when they are exhausted', async () => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      response.writeHead(503).end(`try ${count}`);
    });
    expect(await text(client(), url)).toBe('503 try 3');
    expect((await client().request(url, { retry: false })).status).toBe(503);
    expect(count).toBe(4);
  });

  it('follow a lost connection', async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count < 3) request.socket.destroy();
      else response.end('x');
    });
    expect(await text(client(), url)).toBe('200 x');
  });

  it('do not follow 404 and a refused connection', async () => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      response.writeHead(404).end();
    });
    expect((await client().request(url)).status).toBe(404);
    expect(count).toBe(1);
    const error = await failure(client({ backoff: [1e6] }).request('http://127.0.0.1:1/x'));
    expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
    expect(error.message).toBe('http://127.0.0.1:1/x cannot be reached: connection refused');
    expect(error).toMatchObject({
      fix: expect.stringMatching(/^check the address and the network; behind a proxy, set HTTPS_/),
    });
  });

  it.each([
    ['seconds', () => '3600'],
    ['a date', () => new Date(Date.now() + 3_600_000).toUTCString()],
  ])('wait as long as Retry-After in %s, up to the limit', async (_form, value) => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      if (count === 1) response.writeHead(429, { 'retry-after': value() }).end();
      else response.end('x');
    });
    const stop = new AbortController();
    const waiting = failure(client().request(url, { signal: stop.signal }));
    setTimeout(() => stop.abort(new Error('stopped')), 100);
    expect((await waiting).message).toBe('stopped');
    expect(count).toBe(1);
    count = 0;
    expect(await text(client({ maxRetryAfter: 5 }), url)).toBe('200 x');
  });

  it('do not follow a server that stays silent', async () => {
    const url = await serve(() => undefined);
    const error = await failure(client({ idle: 50, backoff: [] }).request(url));
    expect(error.message).toBe(`${url}/ cannot be reached: no response in time`);
  });

  it('stop at the second silence, but not at the first', async () => {
    let count = 0;
    const url = await serve((_request, response) => {
      count += 1;
      if (count % 4 === 0) response.end('x');
    });
    const error = await failure(client({ idle: 50, backoff: [1, 1, 1] }).request(url));
    expect([error.message, count]).toEqual([`${url}/ cannot be reached: no response in time`, 2]);
    expect(await text(client({ idle: 1000, backoff: [1, 1, 1] }), url)).toBe('200 x');
    expect(count).toBe(4);
  });
});

describe('redirects', () => {
  it('keep headers within a server, and drop credentials for another', async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end('there');
    });
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      const location = request.url === '/' ? '/next' : `${other}/file?signature=abc`;
      response.writeHead(307, { location }).end();
    });
    expect(await text(client(), url, 'Bearer token')).toBe('200 there');
    expect(seen).toEqual(['Bearer token', 'Bearer token', undefined]);
  });

  it('are not followed for writes', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(307, { location: '/x' }).end();
    });
    expect((await client().request(url, { method: 'POST', body: 'x' })).status).toBe(307);
  });
});

describe('credentials', () => {
  it('of an address are sent, but appear in no error', async () => {
    const url = await serve((request, response) => {
      response.end(request.headers.authorization);
    });
    const withPassword = url.replace('//', '//me:pass%3Aword@');
    const expected = `Basic ${Buffer.from('me:pass:word').toString('base64')}`;
    expect(await text(client(), withPassword)).toBe(`200 ${expected}`);
    const error = await failure(client().request('http://me:secret@127.0.0.1:1/a?token=secret'));
    expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain('secret');
    expect(error.message).toContain('http://127.0.0.1:1/a?…');
  });

  it('of a proxy appear in no error', async () => {
    const env = { HTTP_PROXY: 'http://me:secret@[', HTTPS_PROXY: 'http://me:secret@127.0.0.1:1' };
    for (const url of ['http://registry.test/', 'https://registry.test/']) {
      const error = await failure(client({ env, backoff: [] }).request(url));
      expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain('secret');
    }
  });
});

describe('TLS', () => {
  it('reports a server without TLS, and an unreadable certificate file', async () => {
    const url = await serve((_request, response) => {
      response.end();
    });
    const error = await failure(client().request(url.replace('http:', 'https:')));
    expect(error.message).toMatch(/the server does not speak TLS/);
    const env = { SSL_CERT_FILE: '/nonexistent' };
    expect(await failure(client({ env }).request('https://localhost:1'))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'cannot read /nonexistent, given by SSL_CERT_FILE',
    });
  });
});
