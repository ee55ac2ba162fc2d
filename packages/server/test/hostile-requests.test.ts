import { once } from 'node:events';
import { symlink, unlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { createRegistry } from '@lkt/registry';
import { parseReference } from '@lkt/oci';
import { MANIFEST, pushBlob, pushContent, putManifest, serve, type Served } from './support.ts';

/**
 * Sends bytes, whose last request asks for the end of the connection, and returns the status of
 * each response.
 */
async function send(served: Served, text: string): Promise<readonly string[]> {
  const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => (answer += data.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(Buffer.from(text, 'latin1'));
  await once(socket, 'close');
  return [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status = '']) => status);
}

const EMPTY = digestOf('');
const HOST = 'Host: 127.0.0.1\r\n';
const CLOSE = 'Connection: close\r\n';
const request = (line: string, headers = '', body = ''): string =>
  `${line} HTTP/1.1\r\n${HOST}${headers}\r\n${body}`;

describe('one response, and no second request, for', () => {
  const inner = request('GET /v2/', CLOSE);
  const chunked = 'Transfer-Encoding: chunked\r\n';
  const length = `Content-Length: ${inner.length}\r\n`;
  const path = `POST /v2/a/blobs/uploads/?digest=${EMPTY}`;
  const cases: readonly (readonly [title: string, bytes: string])[] = [
    ['both lengths', request(path, length + chunked, `0\r\n\r\n${inner}`)],
    ['two lengths', request(path, `Content-Length: 0\r\n${length}`, inner)],
    ['a signed length', request(path, 'Content-Length: +0\r\n', inner)],
    ['a hexadecimal length', request(path, 'Content-Length: 0x0\r\n', inner)],
    ['a list of lengths', request(path, 'Content-Length: 0, 37\r\n', inner)],
    ['an unknown coding', request(path, 'Transfer-Encoding: xchunked\r\n', inner)],
    ['a coding after chunked', request(path, 'Transfer-Encoding: chunked, identity\r\n', inner)],
    [
      'a folded header',
      request(path, `Transfer-Encoding:\r\n chunked\r\n${length}`, `0\r\n\r\n${inner}`),
    ],
    [
      'a blank before the colon',
      request(path, `Content-Length : 0\r\n${chunked}`, `0\r\n\r\n${inner}`),
    ],
    ['a chunk of negative length', request(path, chunked, `-1\r\n${inner}`)],
    ['a chunk of enormous length', request(path, chunked, `${'f'.repeat(17)}\r\n${inner}`)],
    ['a chunk longer than stated', request(path, chunked, `1\r\nxx\r\n0\r\n\r\n${inner}`)],
    ['bare line feeds', `${path} HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 0\n\n${inner}`],
    ['a header with a NUL', request(path, 'X: a\0b\r\n', inner)],
    ['headers of 20 KB', request('GET /v2/', `X: ${'x'.repeat(20_000)}\r\n`, inner)],
    ['an unknown version', `GET /v2/ HTTP/9.9\r\n${HOST}\r\n${inner}`],
    ['no host name', `GET /v2/ HTTP/1.1\r\n\r\n${inner}`],
  ];
  for (const [title, bytes] of cases)
    test(title, async () => {
      await using served = await serve();
      const statuses = await send(served, bytes);
      expect(statuses.length).toBeLessThanOrEqual(1);
      expect(statuses.every((status) => status.startsWith('4'))).toBe(true);
      expect(served.errors).toEqual([]);
      expect((await served.fetch('/v2/')).status).toBe(200);
    });
});

test.each([
  ['GET http://evil.example/v2/', '400'],
  ['GET //v2/', '400'],
  ['GET /v2/../v2/', '400'],
  ['GET /v2/./', '400'],
  ['GET /v2/%2e%2e/', '400'],
  ['GET /v2/a\\b/tags/list', '400'],
  ['GET /v2/a/manifestslatest', '404'],
  ['GET /v2/a/tagslist', '404'],
  [`GET /v2/a/blobs${EMPTY}`, '404'],
  ['POST /v2/a/blobs/uploadsx', '400'],
  ['GET /v2/\xe4\xff/tags/list', '400'],
  ['GET /v2/a/manifests/\x9b31m', '400'],
  [`GET /v2/a/blobs/SHA256:${EMPTY.slice(7)}`, '400'],
  [`GET /v2/a/blobs/sha256:${EMPTY.slice(7).toUpperCase()}`, '400'],
  [`GET /v2/a/blobs/sha512:${EMPTY.slice(7)}`, '400'],
  ['GET /v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e', '400'],
  [`GET /v2/a/blobs/${EMPTY}/../../tags/list`, '400'],
  ['GET /v2/a/tags/list?n=-1', '404'],
  ['GET /v2/a/referrers/latest', '400'],
  ['GET /v2/_catalog', '404'],
  ['PUT /v2/a/tags/list', '405'],
  ['TRACE /v2/', '405'],
  ['OPTIONS *', '400'],
  ['POST /v2/a/blobs/uploads/?mount=sha256:x&from=b', '400'],
  ['POST /v2/a/blobs/uploads/?digest=x', '400'],
  ['POST /v2/a/blobs/uploads/?digest-algorithm=md5', '400'],
  ['PATCH /v2/a/blobs/uploads/../../x', '400'],
  ['PUT /v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000', '404'],
  ['GET /v1/cache/..', '400'],
  ['GET /v1/cache/index.json', '404'],
])('%j is answered by %s', async (line, status) => {
  await using served = await serve();
  expect(await send(served, request(line, `Content-Length: 0\r\n${CLOSE}`))).toEqual([status]);
  expect(served.errors).toEqual([]);
  expect(served.lines.every((text) => /^[\x20-\x7e]*$/.test(text))).toBe(true);
});

test('rejects a request with two host names', async () => {
  await using served = await serve();
  const headers = `Host: evil.example\r\n${CLOSE}`;
  expect(await send(served, request('GET /v2/', headers))).toEqual(['400']);
});

test.each([
  ['bytes=0-0', 206, 'a'],
  ['bytes=-1', 206, 'e'],
  ['bytes=-99', 206, 'abcde'],
  ['bytes=3-99', 206, 'de'],
  ['bytes=0-1,3-4', 200, 'abcde'],
  [`bytes=${'0-,'.repeat(1000)}0-`, 200, 'abcde'],
  ['bytes=5-', 416, ''],
  ['bytes=4-3', 416, ''],
  ['bytes=-0', 416, ''],
  ['bytes=-', 200, 'abcde'],
  ['bytes=0x1-', 200, 'abcde'],
  ['bytes=99999999999999999999-', 200, 'abcde'],
  ['items=0-1', 200, 'abcde'],
])('a range of %s', async (range, status, body) => {
  await using served = await serve();
  const digest = await pushBlob(served, 'a', 'abcde');
  const response = await served.fetch(`/v2/a/blobs/${digest}`, { headers: { range } });
  expect(response.status).toBe(status);
  if (status < 300) expect(await response.text()).toBe(body);
});

const startUpload = async (served: Served): Promise<string> => {
  const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
  return started.headers.get('location') ?? '';
};
const patchUpload = async (served: Served, path: string, range: string): Promise<number> => {
  const init = { method: 'PATCH', body: 'abcd', headers: { 'content-range': range } };
  return (await served.fetch(path, init)).status;
};

describe('an upload rejects', () => {
  test.each(['1-4', '4-7', '0-9', '0-2', '0-3x', 'bytes 0-3/x', '3-0', 'x', ''])(
    'the first four bytes as %j, if that is another range',
    async (range) => {
      await using served = await serve();
      const path = await startUpload(served);
      expect(await patchUpload(served, path, range)).not.toBe(202);
      expect(await patchUpload(served, path, '0-3')).toBe(202);
      expect(await patchUpload(served, path, '0-3')).toBe(416);
      const digest = digestOf('abcd');
      expect((await served.fetch(`${path}?digest=${digest}`, { method: 'PUT' })).status).toBe(201);
    },
  );

  test.each([EMPTY, digestOf('abcd').replace('sha256', 'sha512'), 'md5:x', ''])(
    'four bytes as %j',
    async (digest) => {
      await using served = await serve();
      const path = await startUpload(served);
      await patchUpload(served, path, '0-3');
      const put = await served.fetch(`${path}?digest=${digest}`, { method: 'PUT' });
      expect(put.status).toBe(400);
      expect(served.store.digests()).toEqual([]);
    },
  );
});

test('reports a blob and an index that others replaced', async () => {
  await using served = await serve();
  const manifest = await pushContent(served, 'a', 'layer');
  await putManifest(served, 'a', '1', manifest);
  const path = served.store.blobPath(digestOf('layer'));
  await unlink(path);
  await writeFile(join(served.dir, 'secret'), 'a secret of the machine');
  await symlink(join(served.dir, 'secret'), path);
  const whole = served.fetch(`/v2/a/blobs/${digestOf('layer')}`);
  await expect(whole.then(async (response) => response.text())).rejects.toThrow();
  await writeFile(join(served.store.dir, 'index.json'), '{"manifests": 7}');
  expect((await served.fetch('/v2/a/tags/list')).status).toBe(500);
  expect(served.errors.length).toBeGreaterThan(0);
});

test('lists referrers of any number and size in pages that clients read', async () => {
  await using served = await serve();
  const subject = await pushContent(served, 'a', 'x');
  await putManifest(served, 'a', '1', subject);
  const digest = digestOf(subject);
  const about = { mediaType: MANIFEST, digest, size: Buffer.byteLength(subject) };
  const sizes = [3_900_000, 900_000, 900_000, 900_000, 900_000, 900_000, 1, 1];
  for (const [index, size] of sizes.entries()) {
    const annotations = { index: String(index), text: 'x'.repeat(size) };
    const referrer = await pushContent(served, 'a', 'y', { subject: about, annotations });
    expect((await putManifest(served, 'a', digestOf(referrer), referrer)).status).toBe(201);
  }
  await using registry = createRegistry();
  const found = await registry.referrers({ ...parseReference(`${served.host}/a`), digest });
  expect(found.length).toBe(sizes.length);
  expect(found.filter(({ annotations }) => annotations?.['text'] === 'x').length).toBe(2);
});
