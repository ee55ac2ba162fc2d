import { createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient, type HttpClient } from '../src/client.ts';
import { failure, serve } from './support.ts';
import type { HttpOptions } from '../src/options.ts';

function client(options: HttpOptions = {}): HttpClient {
  const made = createHttpClient({ backoff: [], ...options });
  onTestFinished(async () => made[Symbol.asyncDispose]());
  return made;
}

/** A server that sends exactly these bytes for each request and records the heads. */
async function saying(
  ...answers: readonly ((socket: Socket, request: string) => void)[]
): Promise<{ url: string; heads: string[]; connections: () => number }> {
  const heads: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const text = data.toString('latin1');
      if (!/^[A-Z]+ \/\S* HTTP/.test(text)) return;
      heads.push(text);
      answers[Math.min(heads.length, answers.length) - 1]?.(socket, text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, heads, connections: () => sockets.length };
}

/** Sends everything at once. */
function at(text: string): (socket: Socket) => void {
  return (socket) => void socket.write(text, 'latin1');
}

/** Sends byte by byte, then closes the connection. */
function slowly(text: string): (socket: Socket) => void {
  return (socket) => {
    void (async () => {
      socket.setNoDelay(true);
      for (const byte of Buffer.from(text, 'latin1')) {
        socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket.end();
    })();
  };
}

function drop(socket: Socket): void {
  socket.destroy();
}

async function* twoBytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('ab');
}

async function body(http: HttpClient, url: string): Promise<string> {
  return (await (await http.request(url)).bytes(1e6)).toString();
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('a response', () => {
  it.each([
    ['with a length', `${OK}Content-Length: 5\r\n\r\nhello`],
    ['with a repeated length', `${OK}Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello`],
    ['in chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`],
    [
      'in chunks, with a trailer, whatever length it says',
      `${OK}Transfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n05\r\nhello\r\n0\r\na: b\r\n\r\n`,
    ],
    [
      'after another that says to wait',
      `HTTP/1.1 103 X\r\na: b\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello`,
    ],
    ['that ends with the connection', `${OK}\r\nhello`],
    ['of HTTP/1.0', 'HTTP/1.0 200\r\n\r\nhello'],
  ])('%s is read', async (_what, text) => {
    const whole = await saying((socket) => socket.end(text));
    expect(await body(client(), whole.url)).toBe('hello');
    const parts = await saying(slowly(text));
    expect(await body(client(), parts.url)).toBe('hello');
  });

  it.each([
    ['of another protocol', 'SSH-2.0-OpenSSH_9.9\r\n\r\n'],
    ['of another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['with a line that is not a header', `${OK}hello\r\n\r\n`],
    ['with a folded header', `${OK}a: b\r\n c\r\n\r\n`],
    ['with a line end in a header', `${OK}a: b\nContent-Length: 1\r\n\r\nx`],
    ['with two lengths', `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ['with an invalid length', `${OK}Content-Length: +5\r\n\r\nhello`],
    ['with another transfer coding', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['with an invalid chunk length', `${OK}Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n`],
    [
      'with a chunk longer than its length',
      `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`,
    ],
    ['that switches protocols', 'HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n'],
    ['with an endless head', `${OK}${`a: ${'b'.repeat(1000)}\r\n`.repeat(100)}`],
  ])('%s is rejected', async (_what, text) => {
    const { url, connections } = await saying(at(text), at(`${OK}Content-Length: 5\r\n\r\nother`));
    const http = client();
    expect(await failure(body(http, url))).toMatchObject({ code: 'NETWORK_FAILED' });
    // Extra bytes on the connection are not the next response.
    expect(await body(http, url)).toBe('other');
    expect(connections()).toBe(2);
  });

  it.each([
    ['its length', `${OK}Content-Length: 6\r\n\r\nhello`],
    ['its last chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
    ['the end of a chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n6\r\nhello`],
  ])('that ends before %s is incomplete', async (_what, text) => {
    const { url } = await saying((socket) => socket.end(text));
    const error = await failure(body(client(), url));
    expect(error.message).toMatch(/the response is incomplete/);
  });

  it.each([
    ['HEAD', 200],
    ['GET', 304],
    ['DELETE', 204],
  ] as const)('to %s with status %i has no body, whatever its headers', async (method, status) => {
    const first = `HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`;
    const { url, connections } = await saying(at(first), at(`${OK}Content-Length: 5\r\n\r\nother`));
    const http = client();
    const response = await http.request(url, { method });
    expect([response.status, (await response.bytes(10)).length]).toEqual([status, 0]);
    expect(await body(http, url)).toBe('other');
    expect(connections()).toBe(1);
  });
});

describe('a connection', () => {
  const short = `${OK}Content-Length: 2\r\n\r\nok`;

  it('serves consecutive requests', async () => {
    const { url, heads, connections } = await saying(at(short));
    const http = client({ userAgent: 'me' });
    for (let count = 0; count < 3; count += 1) expect(await body(http, url)).toBe('ok');
    await (await http.request(`${url}/a?b=c`)).discard();
    await (await http.request(url, { method: 'POST' })).discard();
    expect(connections()).toBe(1);
    expect(heads[3]).toBe(
      `GET /a?b=c HTTP/1.1\r\nhost: ${new URL(url).host}\r\naccept-encoding: identity\r\nuser-agent: me\r\n\r\n`,
    );
    expect(heads[4]).toMatch(/content-length: 0\r\n/);
  });

  it.each([
    ['closes the connection', `${OK}Connection: close\r\nContent-Length: 2\r\n\r\nok`],
    ['is HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['has extra bytes', `${short}${short}`],
    [
      'says that the connection ends by now',
      `${OK}Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok`,
    ],
    [
      'may end elsewhere for others',
      `${OK}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    ],
  ])('is not reused after a response that %s', async (_what, text) => {
    const { url, connections } = await saying(at(text));
    const http = client();
    expect(await body(http, url)).toBe('ok');
    expect(await body(http, url)).toBe('ok');
    expect(connections()).toBe(2);
  });

  it('closed while idle is replaced without counting as a retry', async () => {
    const { url, heads } = await saying(at(short), drop, at(short), drop);
    const http = client();
    expect(await body(http, url)).toBe('ok');
    expect(await body(http, url)).toBe('ok');
    expect(heads).toHaveLength(3);
    // A request with side effects is not repeated.
    const error = await failure(http.request(url, { method: 'POST', retry: false }));
    expect(error.message).toMatch(/the connection was lost/);
    expect(heads).toHaveLength(4);
  });

  it('is limited in number per server, and returned when a response is discarded', async () => {
    let open = 0;
    let most = 0;
    const url = await serve((_request, response) => {
      most = Math.max(most, (open += 1));
      setTimeout(() => {
        open -= 1;
        response.end('x'.repeat(100));
      }, 5);
    });
    const http = client({ connections: 2 });
    const ask = async (): Promise<void> => (await http.request(url)).discard();
    await Promise.all(Array.from({ length: 10 }, ask));
    expect(most).toBe(2);
    const long = await serve((_request, response) => response.end(Buffer.alloc(1e6)));
    for (let count = 0; count < 4; count += 1) {
      const content = await http.download(long);
      await content[Symbol.asyncIterator]().return?.();
      for await (const part of await http.download(long)) if (part.length > 0) break;
      await (await http.request(long)).discard();
    }
  });

  it('closes with the client, which fails pending requests', async () => {
    const { url } = await saying(() => undefined);
    const http = createHttpClient();
    const waiting = failure(http.request(url, { retry: false }));
    const stop = new AbortController();
    const stopped = failure(http.request(url, { signal: stop.signal }));
    setTimeout(() => stop.abort(new Error('stopped')), 20);
    expect((await stopped).message).toBe('stopped');
    await http[Symbol.asyncDispose]();
    expect((await waiting).message).toMatch(/the connection was lost/);
  });
});

describe('a request', () => {
  it('is not sent with a header value that contains a line end, which no error shows', async () => {
    const { url, heads } = await saying(at(`${OK}\r\n`));
    const broken: Record<string, string>[] = [
      { authorization: 'secret\r\na: b' },
      { 'a b': 'secret' },
      { a: 'sécret\0' },
    ];
    for (const headers of broken) {
      const error = await failure(client().request(url, { headers }));
      expect(error.message).toMatch(/cannot be sent/);
      expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain('cret');
    }
    expect(heads).toHaveLength(0);
  });

  it('fails if its body is too short or too long', async () => {
    let whole = 0;
    const url = await serve((request, response) => {
      request.resume();
      request.on('end', () => {
        whole += 1;
        response.end();
      });
    });
    for (const length of ['1', '3']) {
      const options = {
        method: 'PUT',
        headers: { 'content-length': length },
        body: twoBytes,
        retry: false,
      } as const;
      const { message } = await failure(client().request(url, options));
      expect(message).toMatch(/the body is (?:shorter|longer) than its content-length/);
    }
    expect(whole).toBe(0);
  });

  it('stops sending when the response arrives early', async () => {
    const { url, connections } = await saying(
      at('HTTP/1.1 413 X\r\nContent-Length: 4\r\n\r\nlong'),
      at(`${OK}Content-Length: 2\r\n\r\nok`),
    );
    let hasEnded = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          yield Buffer.alloc(1000);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      } finally {
        hasEnded = true;
      }
    }
    const http = client();
    const response = await http.request(url, { method: 'PUT', body: endless });
    expect([response.status, (await response.bytes(10)).toString()]).toEqual([413, 'long']);
    await expect.poll(() => hasEnded).toBe(true);
    expect(await body(http, url)).toBe('ok');
    expect(connections()).toBe(2);
  });

  it('fails with the error of its body', async () => {
    const { url } = await saying(() => undefined);
    const stop = new AbortController();
    const broken = async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a');
      stop.signal.throwIfAborted();
    };
    stop.abort(new RangeError('no more of it'));
    const error = await failure(client().request(url, { method: 'PUT', body: broken }));
    expect(error.message).toMatch(/no more of it/);
  });
});
