import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { digestOf } from '@lkt/core';
import { writeTar } from '@lkt/oci';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build, file, listing, scratch } from '../fixture.ts';

const directory = scratch();
const store = join(directory.path, 'store');
const content = Buffer.from('what is fetched\n');
const digest = digestOf(content);
const requests: string[] = [];
let archive: Buffer = Buffer.alloc(0);
let breaks = 0;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? '', 'http://localhost');
  requests.push(pathname);
  switch (pathname) {
    case '/gone':
      response.writeHead(404).end();
      return;
    case '/away':
      response.writeHead(302, { location: '/file' }).end();
      return;
    case '/archive.tgz':
      response.end(archive);
      return;
    case '/breaks':
      breaks += 1;
      // Sends half of the content, and then nothing.
      response.writeHead(200, { 'content-length': content.length });
      if (breaks > 1) response.end(content);
      else response.write(content.subarray(0, 8), () => void response.socket?.destroy());
      return;
    default:
      response.writeHead(200, { 'last-modified': 'Sat, 03 Feb 2001 04:05:06 GMT' }).end(content);
  }
}

const server = createServer(answer);
let at = '';
beforeAll(async () => {
  archive = gzipSync(Buffer.concat(await Array.fromAsync(writeTar([file('in', 'inner')]))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  directory[Symbol.dispose]();
});

function add(path: string, destination: string, flags = `--checksum=${digest}`): string {
  return `FROM base\nADD ${flags} ${at}${path} ${destination}\n`;
}

test("fetches a file once, and ignores the server's time", async () => {
  const built = await build(store, add('/file?version=1', '/dir/'));
  expect(await listing(store, built)).toEqual([
    'directory 755 0:0 1492533000 dir',
    'file 600 0:0 1492533000 dir/file',
  ]);
  expect(requests).toEqual(['/file']);
  const again = await build(
    store,
    add('/file', '/other', `--checksum=${digest} --chmod=755 --chown=5`),
  );
  expect(await listing(store, again)).toEqual(['file 755 5:5 1492533000 other']);
  expect(requests).toEqual(['/file']);
});

test('resumes after a broken connection, and follows a redirect', async () => {
  const own = join(directory.path, 'own');
  const built = await build(own, add('/breaks', '/x'));
  expect(await listing(own, built)).toEqual(['file 600 0:0 1492533000 x']);
  expect(breaks).toBe(2);
  const other = join(directory.path, 'redirected');
  expect(await listing(other, await build(other, add('/away', '/')))).toEqual([
    'file 600 0:0 1492533000 away',
  ]);
});

test('unpacks an archive only with --unpack', async () => {
  const flags = `--checksum=${digestOf(archive)}`;
  const plain = await build(store, add('/archive.tgz', '/', flags));
  expect(await listing(store, plain)).toEqual(['file 600 0:0 1492533000 archive.tgz']);
  const unpacked = await build(store, add('/archive.tgz', '/', `--unpack ${flags}`));
  expect(await listing(store, unpacked)).toEqual(['file 644 0:0 1492533000 in']);
});

test('rejects an address without a file name', async () => {
  const built = await build(store, add('/', '/d/'));
  expect((await listing(store, built)).at(-1)).toContain('d/__unnamed__');
});

test('requires a checksum', async () => {
  const before = requests.length;
  await expect(build(store, add('/file', '/x', '--chmod=644'))).rejects.toMatchObject({
    code: 'PIN_MISSING',
    message: `Dockerfile:2:17: no checksum is given for ${at}/file`,
    fix: expect.stringContaining(`curl -fsSL '${at}/file' | sha256sum`) as string,
  });
  await expect(build(store, add('/file', `${at}/file /x/`))).rejects.toMatchObject({
    code: 'DOCKERFILE_INVALID',
  });
  expect(requests).toHaveLength(before);
});

test('rejects content with another digest', async () => {
  const wrong = digestOf('something else');
  await expect(build(store, add('/file', '/x', `--checksum=${wrong}`))).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
    message: expect.stringMatching(/^Dockerfile:2:\d+: /) as string,
    fix: 'find out why the file changed; if the new one is right, write its checksum',
  });
  const gone = digestOf('gone');
  await expect(build(store, add('/gone', '/x', `--checksum=${gone}`))).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining('HTTP status 404') as string,
  });
});
