import { readdirSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { createAuthority } from '@lkt/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { SecretSource } from '../../src/index.ts';
import { serveFiles, type FileServer } from './file-server.ts';
import { build, listing, scratch } from '../fixture.ts';

const CONTENT = 'what is fetched\n';
const DIGEST = digestOf(CONTENT);
const open = new AsyncDisposableStack();
const tls = open.use(createAuthority());
const env = { NODE_EXTRA_CA_CERTS: tls.caFile };
let plain: FileServer;
let secure: FileServer;

function redirect(location: () => string) {
  return (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(302, { location: location() }).end();
  };
}

/** The authorization header of each request. */
const asked: (string | undefined)[] = [];
function guarded({ headers }: IncomingMessage, response: ServerResponse): void {
  asked.push(headers.authorization);
  if (headers.authorization === undefined) response.writeHead(401).end();
  else response.end(CONTENT);
}

beforeAll(async () => {
  plain = open.use(
    await serveFiles({
      '/file': CONTENT,
      '/more': `${CONTENT}and more`,
      '/huge': (_, response) => {
        response.writeHead(200, { 'content-length': 17 * 2 ** 30 });
        response.flushHeaders();
      },
      '/short': (_, response) => {
        response.writeHead(200, { 'content-length': CONTENT.length + 10 });
        response.write(CONTENT, () => void response.socket?.destroy());
      },
      '/stalls': (_, response) => {
        response.writeHead(200, { 'content-length': CONTENT.length });
        response.write(CONTENT.slice(0, 4));
      },
      '/drips': (_, response) => {
        const pieces = CONTENT.split(/(?<=t)/);
        const drip = (): void => {
          const piece = pieces.shift();
          if (piece === undefined) response.end();
          else response.write(piece, () => setTimeout(drip, 5));
        };
        drip();
      },
      '/round': redirect(() => '/round'),
      '/there': redirect(() => '/back'),
      '/back': redirect(() => '/there'),
      '/nowhere': redirect(() => 'http://['),
      '/to-file': redirect(() => 'file:///etc/passwd'),
      '/forbidden': (_, response) => void response.writeHead(403).end('no'),
      '/gone': (_, response) => void response.writeHead(410).end(),
      '/guarded': guarded,
      '/lures': redirect(() => `${secure.address}/guarded`),
    }),
  );
  secure = open.use(
    await serveFiles(
      {
        '/file': CONTENT,
        '/down': redirect(() => `${plain.address}/file`),
        '/guarded': guarded,
      },
      tls,
    ),
  );
});
afterAll(async () => open.disposeAsync());

function add(address: string, digest: string = DIGEST): string {
  return `FROM base\nADD --checksum=${digest} ${address} /x\n`;
}

/** Returns the error of a failing build, and checks that the build leaves nothing behind. */
async function failure(text: string, options: Parameters<typeof build>[2] = {}): Promise<unknown> {
  using place = scratch();
  const dir = join(place.path, 'store');
  const error: unknown = await build(dir, text, { env, ...options }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const store = await openStore(dir);
  expect(await store.has(DIGEST)).toBe(false);
  expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
  return error;
}

test.each<[path: string, code: string, message: string | RegExp]>([
  ['/missing', 'NOT_FOUND', /HTTP status 404$/],
  ['/gone', 'NOT_FOUND', /HTTP status 410$/],
  ['/forbidden', 'NETWORK_FAILED', /HTTP status 403$/],
  ['/more', 'DIGEST_MISMATCH', /does not match its digest: it is sha256:[0-9a-f]{64}, not sha256:/],
  ['/huge', 'NETWORK_FAILED', /has more than 17179869184 bytes$/],
  ['/short', 'NETWORK_FAILED', /the response is incomplete|connection was lost|ends after/],
  ['/round', 'NETWORK_FAILED', /redirects more than 10 times$/],
  ['/there', 'NETWORK_FAILED', /redirects more than 10 times$/],
  ['/nowhere', 'NETWORK_FAILED', /redirects to an invalid address$/],
  ['/to-file', 'NETWORK_FAILED', /which is not https$/],
])('stores nothing and names the ADD for %s', async (path, code, message) => {
  expect(await failure(add(`${plain.address}${path}`))).toMatchObject({
    code,
    message: expect.stringMatching(
      new RegExp(`^Dockerfile:2:\\d+: .*${new RegExp(message).source}`),
    ) as string,
    detail: expect.stringMatching(/^ {2}2 \| ADD .*\n {4}\| +\^+$/) as string,
  });
});

test('rejects a redirect from https to http', async () => {
  const before = plain.requests.length;
  expect(await failure(add(`${secure.address}/down`))).toMatchObject({
    code: 'NETWORK_FAILED',
    message: expect.stringMatching(/redirects to http:.*, which is not https$/) as string,
  });
  expect(plain.requests).toHaveLength(before);
});

test('rejects a server with an unknown certificate authority', async () => {
  expect(await failure(add(`${secure.address}/file`), { env: {} })).toMatchObject({
    code: 'NETWORK_FAILED',
    fix: expect.stringContaining('SSL_CERT_FILE') as string,
  });
});

test('reports an address on which no server listens', async () => {
  const gone = await serveFiles({});
  await gone[Symbol.asyncDispose]();
  expect(await failure(add(`${gone.address}/x`))).toMatchObject({
    code: 'NETWORK_FAILED',
    message: expect.stringContaining('connection refused') as string,
  });
});

test('stops during a download from a server that stalls', async () => {
  const controller = new AbortController();
  const failing = failure(add(`${plain.address}/stalls`), { signal: controller.signal });
  await vi.waitFor(() => expect(plain.requests).toContain('/stalls'), 60_000);
  controller.abort();
  expect(await failing).toMatchObject({ name: 'AbortError' });
});

test('waits for a slow server', async () => {
  using place = scratch();
  const store = join(place.path, 'store');
  const built = await build(store, add(`${plain.address}/drips`));
  expect(await listing(store, built)).toEqual(['file 600 0:0 1492533000 x']);
});

test('sends a secret only to its host, and stores it nowhere', async () => {
  using place = scratch();
  const store = join(place.path, 'store');
  const value = 'hunter2-hunter2';
  const secrets = new Map<string, SecretSource>([
    ['HTTP_AUTH_TOKEN_127.0.0.1', { kind: 'env', value: `${value}\n` }],
  ]);
  await build(store, add(`${secure.address}/guarded`), { env, secrets });
  expect(asked.splice(0)).toEqual([`Bearer ${value}`]);
  const header = new Map<string, SecretSource>([
    ['HTTP_AUTH_HEADER_127.0.0.1', { kind: 'env', value: 'Basic abc' }],
    ...secrets,
  ]);
  await build(join(place.path, 'other'), add(`${plain.address}/guarded`), { secrets: header });
  expect(asked.splice(0)).toEqual(['Basic abc']);
  // Another port of the same machine is another server.
  expect(await failure(add(`${plain.address}/lures`), { secrets })).toMatchObject({
    message: expect.stringContaining('HTTP status 401') as string,
  });
  expect(asked.splice(0)).toEqual([undefined]);
  expect(
    await failure(add('http://example.invalid/x'), {
      secrets: new Map([['HTTP_AUTH_TOKEN_example.invalid', { kind: 'env', value }]]),
    }),
  ).toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('is not sent without TLS') as string,
  });
  expect(
    await failure(add(`${plain.address}/guarded`), {
      secrets: new Map([['HTTP_AUTH_HEADER_127.0.0.1', { kind: 'env', value: 'a\r\nb: c' }]]),
    }),
  ).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('one line') as string });
});

test('rejects an address with a password', async () => {
  expect(await failure(add('https://me:hunter2@example.invalid/x'))).toMatchObject({
    code: 'DOCKERFILE_INVALID',
    fix: 'remove it, and pass the secret HTTP_AUTH_HEADER_example.invalid',
  });
});
