import { createServer } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient, type HttpClient } from '../src/client.ts';
import { failure, listen, serve, serveSecurely } from './support.ts';
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

describe('redirects', () => {
  it('are limited, and never lead to http or a file', async () => {
    const http = await serve((_request, response) => {
      response.writeHead(302, { location: '/' }).end();
    });
    expect((await failure(client().request(http))).message).toMatch(/redirects more than 10 times/);
    let location = `${http}/?signature=abc`;
    const { address, ca } = await serveSecurely((_request, response) => {
      response.writeHead(302, { location }).end();
    });
    const secure = client({ ca: [ca] });
    const error = await failure(secure.request(address));
    expect(error.message).toBe(`${address}/ redirects to ${http}/?…, which is not https`);
    location = 'file:///etc/passwd';
    expect((await failure(secure.request(address))).message).toMatch(/which is not https/);
  });
});

describe('TLS', () => {
  it('requires a trusted authority', async () => {
    const { address, ca, caFile } = await serveSecurely((_request, response) => {
      response.end('x');
    });
    expect(await text(client({ ca: [ca] }), address)).toBe('200 x');
    expect(await text(client({ env: { SSL_CERT_FILE: caFile } }), address)).toBe('200 x');
    expect(await text(client({ env: { NODE_EXTRA_CA_CERTS: caFile } }), address)).toBe('200 x');
    const error = await failure(client({ backoff: [1e6] }).request(address));
    expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
    expect(error['fix']).toMatch(/SSL_CERT_FILE/);
  });
});

/** A proxy that forwards every name to one port. */
async function proxy(port: number): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.end('from the proxy');
  });
  server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    const through = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.pipe(socket).pipe(through);
    });
    through.on('error', () => socket.destroy());
    socket.on('error', () => through.destroy());
  });
  return { address: `127.0.0.1:${await listen(server)}`, asked };
}

describe('proxies', () => {
  it('are used according to the environment', async () => {
    const { address, ca } = await serveSecurely((_request, response) => {
      response.end('secure');
    });
    const port = Number(new URL(address).port);
    const { address: at, asked } = await proxy(port);
    const https = client({ ca: [ca], env: { HTTPS_PROXY: `http://me:pw@${at}` } });
    expect(await text(https, `https://registry.test:${port}/`)).toBe('200 secure');
    const pair = Buffer.from('me:pw').toString('base64');
    expect(asked).toEqual([`CONNECT registry.test:${port} Basic ${pair}`]);
    expect(await text(https, address)).toBe('200 secure');
    expect(asked).toHaveLength(1);
    const http = client({ env: { http_proxy: at, NO_PROXY: '.internal' } });
    expect(await text(http, 'http://registry.test/')).toBe('200 from the proxy');
    expect(asked[1]).toMatch(/registry\.test/);
    const own = await failure(http.request('http://x.internal:1/', { retry: false }));
    expect(own).toMatchObject({ code: 'NETWORK_FAILED' });
    expect(asked).toHaveLength(2);
  });

  it.each(['ends', 'destroys'] as const)(
    'a proxy that %s the connection is an error without a retry',
    async (how) => {
      const server = createServer();
      let asked = 0;
      server.on('connect', (_request, socket) => {
        asked += 1;
        if (how === 'ends') socket.end();
        else socket.destroy();
      });
      const https = client({ env: { HTTPS_PROXY: `http://127.0.0.1:${await listen(server)}` } });
      const error = await failure(https.request('https://registry.test/', { retry: false }));
      expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
      expect(asked).toBe(1);
    },
  );
});
