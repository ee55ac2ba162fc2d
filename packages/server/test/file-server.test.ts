import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serveDirectory } from '../src/file-server.ts';

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  readonly location: string | undefined;
}

/** Sends the path unchanged: `fetch` would resolve `..`. */
function get(address: string, path: string, headers = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const [hostname = '', port = ''] = address.split(':');
    request({ hostname, port, path, headers, method }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode, text, location: response.headers.location }),
      );
    })
      .on('error', reject)
      .end();
  });
}

test('serves files, parts of them and listings, and nothing outside of the directory', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-serve-'));
  const root = join(dir.path, 'root');
  await mkdir(join(root, 'sub'), { recursive: true });
  await writeFile(join(dir.path, 'secret'), 'secret');
  await writeFile(join(root, 'a&b#c'), 'hello');
  await symlink('../secret', join(root, 'out'));
  await symlink('a&b#c', join(root, 'in'));
  const stop = new AbortController();
  const lines: string[] = [];
  const address = Promise.withResolvers<string>();
  const served = serveDirectory(
    root,
    { host: '127.0.0.1', port: 0 },
    {
      signal: stop.signal,
      onListen: address.resolve,
      onRequest: (line) => lines.push(line),
    },
  );
  const at = await address.promise;
  const listing = await get(at, '/');
  expect(listing.text).toContain('<a href="a&b%23c">a&#38;b#c</a>');
  expect(listing.text).toContain('<a href="sub/">');
  expect(await get(at, '/sub')).toMatchObject({ status: 301, location: '/sub/' });
  expect(await get(at, '/a&b%23c?query')).toMatchObject({ status: 200, text: 'hello' });
  expect(await get(at, '/in')).toMatchObject({ status: 200, text: 'hello' });
  expect(await get(at, '/in', { range: 'bytes=1-2' })).toMatchObject({ status: 206, text: 'el' });
  expect(await get(at, '/in', { range: 'bytes=-2' })).toMatchObject({ status: 206, text: 'lo' });
  expect(await get(at, '/in', { range: 'bytes=9-' })).toMatchObject({ status: 416, text: '' });
  for (const path of ['/out', '/../secret', '/%2e%2e/secret', '/sub/../../secret', '/%00', '/%'])
    expect(await get(at, path)).toMatchObject({ status: 404 });
  expect(await get(at, '/in', {}, 'POST')).toMatchObject({ status: 405 });
  expect(await get(at, '/in', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
  stop.abort();
  expect(await served).toBe(lines.length);
  expect(lines[0]).toBe('200 GET /');
  // A query may contain a token.
  expect(lines).toContain('200 GET /a&b%23c');
});
