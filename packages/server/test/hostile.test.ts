import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  DELETE,
  pushBlob,
  pushContent,
  READ,
  errorOf,
  serve,
  type Served,
  WRITE,
} from './support.ts';

const tokens = { write: [WRITE], read: [READ], delete: [] };
const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });
const basic = (token: string): RequestInit => ({
  headers: { authorization: `Basic ${Buffer.from(`anybody:${token}`).toString('base64')}` },
});

describe('authorization', () => {
  test('requires a token with the right for the request', async () => {
    await using served = await serve({ tokens });
    const paths = ['/v2/', '/v2/a/tags/list', `/v2/a/blobs/${digestOf('')}`, '/v1/cache/1', '/x'];
    for (const path of paths)
      for (const init of [
        {},
        bearer('x'),
        bearer(`${WRITE}x`),
        bearer(''),
        basic(WRITE.slice(1)),
      ]) {
        const response = await served.fetch(path, init);
        expect(await errorOf(response)).toBe('401 UNAUTHORIZED');
        expect(response.headers.get('www-authenticate')).toBe('Basic realm="lkt", charset="UTF-8"');
      }
    for (const way of [bearer, basic])
      for (const token of [WRITE, READ])
        expect((await served.fetch('/v2/', way(token))).status).toBe(200);
    const uploads = '/v2/a/blobs/uploads/';
    const started = await served.fetch(uploads, { method: 'POST', ...bearer(WRITE) });
    expect(started.status).toBe(202);
    for (const [method, path] of [
      ['POST', uploads],
      ['PATCH', started.headers.get('location') ?? ''],
      ['PUT', '/v2/a/manifests/1'],
      ['DELETE', started.headers.get('location') ?? ''],
      ['PUT', '/v1/cache/1'],
    ] as const)
      expect(await errorOf(await served.fetch(path, { method, ...bearer(READ) }))).toBe(
        '403 DENIED',
      );
  });

  test('permits deletion only with a delete token', async () => {
    await using none = await serve({ tokens });
    await using served = await serve({ tokens: { ...tokens, delete: [DELETE] } });
    for (const path of ['/v2/a/manifests/1', `/v2/a/blobs/${digestOf('')}`]) {
      const status = async (on: Served, token: string): Promise<string> =>
        errorOf(await on.fetch(path, { method: 'DELETE', ...bearer(token) }));
      expect(await status(none, WRITE)).toBe('405 UNSUPPORTED');
      expect(await status(served, READ)).toBe('403 DENIED');
      expect(await status(served, WRITE)).toBe('403 DENIED');
      expect(await status(served, DELETE)).toMatch(/^404 /);
      expect(await status(served, 'none')).toBe('401 UNAUTHORIZED');
    }
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['POST', '/v2/a/blobs/uploads/'],
    ] as const)
      expect((await served.fetch(path, { method, ...bearer(DELETE) })).ok).toBe(true);
  });

  test('permits no deletion in a repository with the name of an upload', async () => {
    await using open = await serve();
    await using served = await serve({ tokens: { ...tokens, delete: [DELETE] } });
    await using none = await serve({ tokens });
    for (const [on, init, expected] of [
      [open, {}, '405 UNSUPPORTED'],
      [none, bearer(WRITE), '405 UNSUPPORTED'],
      [served, bearer(WRITE), '403 DENIED'],
    ] as const) {
      const { digest } = await on.store.writeBytes(Buffer.from('x'));
      for (const path of [
        `/v2/a/blobs/uploads/blobs/${digest}`,
        `/v2/a/blobs/uploads/manifests/${digest}`,
        '/v2/a/blobs/uploads/b/manifests/1',
        `/v2/blobs/uploads/blobs/${digest}`,
      ])
        expect(await errorOf(await on.fetch(path, { method: 'DELETE', ...init }))).toBe(expected);
      expect(await on.store.size(digest)).toBe(1);
    }
  });

  test('logs no token', async () => {
    await using served = await serve({ tokens });
    await served.fetch('/v2/', bearer(WRITE));
    await served.fetch('/v2/', bearer('wrong-token-of-somebody'));
    await expect.poll(() => served.lines).toEqual(['200 GET /v2/', '401 GET /v2/']);
  });

  test('rejects web pages by host name and by origin', async () => {
    await using served = await serve();
    expect((await served.fetch('/v2/', { headers: { origin: 'https://a.example' } })).status).toBe(
      403,
    );
    const status = async (host: string): Promise<number | undefined> =>
      new Promise((done, failed) => {
        httpRequest(`${served.url}/v2/`, { headers: { host } }, (response) => {
          response.resume();
          done(response.statusCode);
        })
          .on('error', failed)
          .end();
      });
    expect(await status('rebound.example')).toBe(403);
    expect(await status(`rebound.example:${new URL(served.url).port}`)).toBe(403);
    expect(await status(served.host)).toBe(200);
    expect(await status('localhost:1')).toBe(200);
  });
});

test('discards content that does not match its digest', async () => {
  await using served = await serve();
  const wrong = digestOf('other');
  const post = await served.fetch(`/v2/a/blobs/uploads/?digest=${wrong}`, {
    method: 'POST',
    body: 'x',
  });
  expect(await errorOf(post)).toBe('400 DIGEST_INVALID');
  const upload = async (): Promise<string> =>
    (await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' })).headers.get('location') ?? '';
  const put = await served.fetch(`${await upload()}?digest=${wrong}`, { method: 'PUT', body: 'x' });
  expect(await errorOf(put)).toBe('400 DIGEST_INVALID');
  const location = await upload();
  await served.fetch(location, { method: 'PATCH', body: 'x' });
  const end = await served.fetch(`${location}?digest=${wrong}`, { method: 'PUT' });
  expect(await errorOf(end)).toBe('400 DIGEST_INVALID');
  const bad = await served.fetch(`${await upload()}?digest=sha512:${'0'.repeat(128)}`, {
    method: 'PUT',
  });
  expect(await errorOf(bad)).toBe('400 DIGEST_INVALID');
  for (const text of ['x', 'other'])
    expect((await served.fetch(`/v2/a/blobs/${digestOf(text)}`)).status).toBe(404);
  await nothingLeft(served);
});

test('rejects content over the limit before it is received', async () => {
  await using served = await serve({ maxBlobSize: 1000 });
  const body = randomBytes(1001);
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const post = await served.fetch(`/v2/a/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body,
  });
  expect(post.status).toBe(413);
  const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
  const location = started.headers.get('location') ?? '';
  expect((await served.fetch(location, { method: 'PATCH', body })).status).toBe(413);
  // Without a stated length, too.
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(body);
      controller.close();
    },
  });
  const streamed = await served.fetch(`/v2/a/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: stream,
    duplex: 'half',
  });
  expect(streamed.status).toBe(413);
  expect((await served.fetch('/v1/cache/1', { method: 'PUT', body })).status).toBe(413);
  const manifest = await served.fetch('/v2/a/manifests/1', {
    method: 'PUT',
    body: Buffer.alloc(4 * 2 ** 20 + 1),
  });
  expect(manifest.status).toBe(413);
  expect((await served.fetch('/v1/cache/1')).status).toBe(404);
});

test('responds to an oversized upload before it is complete', async () => {
  await using served = await serve({ maxBlobSize: 1000 });
  const { port } = new URL(served.url);
  const socket = connect(Number(port), '127.0.0.1');
  const path = `/v2/a/blobs/uploads/?digest=${digestOf('')}`;
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: ${served.host}\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  socket.write(`7d0\r\n${'x'.repeat(2000)}\r\n`);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1\.1 413 /);
  expect(text).toContain('SIZE_INVALID');
});

test('limits the number of uploads', async () => {
  await using served = await serve({ maxUploads: 2 });
  for (const expected of [202, 202, 429]) expect((await startUpload(served)).status).toBe(expected);
  expect(await errorOf(await startUpload(served))).toBe('429 TOOMANYREQUESTS');
});

test('discards idle uploads', async () => {
  await using served = await serve({ uploadIdleMs: 200, maxUploads: 1 });
  const location = (await startUpload(served)).headers.get('location') ?? '';
  await served.fetch(location, { method: 'PATCH', body: 'some' });
  await expect.poll(async () => (await startUpload(served)).status).toBe(202);
  await nothingLeft(served);
  expect((await served.fetch(location)).status).toBe(404);
});

async function startUpload(served: Served): Promise<Response> {
  return served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
}

test('binds an upload to its repository and to one request at a time', async () => {
  await using served = await serve();
  const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
  const location = started.headers.get('location') ?? '';
  const other = await served.fetch(location.replace('/v2/a/', '/v2/b/'));
  expect(await errorOf(other)).toBe('404 BLOB_UPLOAD_UNKNOWN');
  let end: (() => void) | undefined;
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('first'));
      end = () => controller.close();
    },
  });
  const slow = served.fetch(location, { method: 'PATCH', body, duplex: 'half' });
  await expect
    .poll(async () => errorOf(await served.fetch(location, { method: 'PATCH', body: 'x' })))
    .toBe('409 BLOB_UPLOAD_INVALID');
  end?.();
  expect((await slow).headers.get('range')).toBe('0-4');
});

test('ends a body that arrives too slowly, and keeps its bytes', async () => {
  await using served = await serve({ minSpeed: { bytesPerSecond: 1000, time: 200 } });
  const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
  const location = started.headers.get('location') ?? '';
  for (const [path, method] of [
    [location, 'PATCH'],
    ['/v2/a/manifests/1', 'PUT'],
  ] as const) {
    const ended = await served.fetch(path, { method, body: trickle(), duplex: 'half' });
    expect(await errorOf(ended)).toBe('408 BLOB_UPLOAD_INVALID');
  }
  const status = await served.fetch(location);
  expect(status.headers.get('range')).toMatch(/^0-[1-9]/);
});

test('keeps the received bytes of a broken connection', async () => {
  await using served = await serve();
  const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
  const location = started.headers.get('location') ?? '';
  const { port } = new URL(served.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    `PATCH ${location} HTTP/1.1\r\nhost: ${served.host}\r\ncontent-length: 100\r\n\r\nfirst `,
  );
  await sleep(100);
  socket.destroy();
  await expect.poll(async () => (await served.fetch(location)).headers.get('range')).toBe('0-5');
  const digest = digestOf('first second');
  await served.fetch(location, {
    method: 'PATCH',
    body: 'second',
    headers: { 'content-range': '6-11' },
  });
  const put = await served.fetch(`${location}?digest=${digest}`, { method: 'PUT' });
  expect(put.status).toBe(201);
  expect(await (await served.fetch(`/v2/a/blobs/${digest}`)).text()).toBe('first second');
  expect(served.errors).toEqual([]);
  await nothingLeft(served);
});

test('rejects names that escape their directory', async () => {
  await using served = await serve();
  const manifest = await pushContent(served, 'a', 'x');
  const put = async (path: string): Promise<number | undefined> =>
    new Promise((done, failed) => {
      const { hostname, port } = new URL(served.url);
      httpRequest({ hostname, port, path, method: 'PUT' }, (response) => {
        response.resume();
        done(response.statusCode);
      })
        .on('error', failed)
        .end(manifest);
    });
  const long = `${'a/'.repeat(128)}a`;
  for (const name of ['..', '../..', 'a/../b', './a', 'A', 'a//b', '-a', '%61', 'a%2fb', long])
    expect(await put(`/v2/${name}/manifests/1`), name).toBe(400);
  for (const tag of ['..', '.a', 'a'.repeat(129), '%2e%2e%2fx', 'a%00', 'a\\b'])
    expect(await put(`/v2/a/manifests/${tag}`), tag).toBe(400);
  for (const hash of ['..', '../index.json', '%2e%2e%2findex.json', 'a.b', 'a'.repeat(256), ''])
    expect(await put(`/v1/cache/${hash}`), hash).toBeOneOf([400, 404]);
  expect(await served.store.tags()).toEqual([]);
  await expect(readdir(served.store.dir)).resolves.not.toContain('nx');
});

test('never sends a damaged blob completely', async () => {
  const { writeFile } = await import('node:fs/promises');
  await using served = await serve();
  const digest = await pushBlob(served, 'a', 'content');
  await writeFile(served.store.blobPath(digest as never), 'CONTENT');
  await expect(
    served.fetch(`/v2/a/blobs/${digest}`).then(async (got) => got.text()),
  ).rejects.toThrow();
});

async function temporaries({ store }: Served): Promise<readonly string[]> {
  return readdir(join(store.dir, 'tmp')).catch(() => []);
}

async function nothingLeft(served: Served): Promise<void> {
  await expect.poll(async () => temporaries(served)).toEqual([]);
}

/** A body of one byte every 20 milliseconds. */
function trickle(): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      await sleep(20);
      controller.enqueue(new Uint8Array(1));
    },
  });
}
