import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Session } from '../src/session/session.ts';
import { readConfigFile } from '../src/session/config-file.ts';

const session = {
  environment: { cwd: '/here', variables: {} },
  signal: new AbortController().signal,
} as unknown as Session;

async function serve(body: string | Buffer, status = 200): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status).end(body);
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.yml`;
}

it('downloads a config, and marks it as remote', async () => {
  const address = await serve('init: [a]');
  expect(await readConfigFile(address, session)).toEqual({
    path: address,
    absolute: '/here/web.yml',
    text: 'init: [a]',
    isRemote: true,
  });
});

it('rejects a failed response, an oversized config, and http from other hosts', async () => {
  await expect(readConfigFile(await serve('gone', 404), session)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  const long = await serve(Buffer.alloc(16 * 2 ** 20 + 1, '#'));
  await expect(readConfigFile(long, session)).rejects.toThrow(/long|bytes|than/);
  await expect(readConfigFile('http://example.org/a.yml', session)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    fix: 'use https',
  });
});

it('rejects an oversized file, and one without end', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-config-'));
  const path = join(dir.path, 'a.yml');
  await writeFile(path, Buffer.alloc(16 * 2 ** 20 + 1, '#'));
  for (const name of [path, '/dev/zero'])
    await expect(readConfigFile(name, session)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/ is larger than 16 MiB$/) as string,
    });
  await expect(readConfigFile(dir.path, session)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it.each([
  'http://127.0.0.1.example.org/a.yml',
  'http://127.0.0.1@example.org/a.yml',
  'http://localhost.example.org/a.yml',
  'http://0.0.0.0/a.yml',
  'http://example.org#127.0.0.1/a.yml',
  'HTTP://EXAMPLE.ORG/a.yml',
  'http:\\\\example.org/a.yml',
  'http://[::ffff:1.2.3.4]/a.yml',
])('does not download %s', async (address) => {
  await expect(readConfigFile(address, session)).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:UNSUPPORTED|NOT_FOUND)$/) as string,
  });
});

it('names image configs of the workspace if the given one is missing', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-config-'));
  const here = { ...session, environment: { cwd: dir.path, variables: {} } } as unknown as Session;
  await expect(readConfigFile('none.yml', here)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'there is no file none.yml',
    fix: 'name an image config',
  });
  execFileSync('git', ['init', '--quiet', dir.path]);
  await mkdir(join(dir.path, 'images'));
  for (const name of ['a', 'b', 'c', 'd'])
    await writeFile(join(dir.path, `images/${name}.yml`), '');
  await expect(readConfigFile('none.yml', here)).rejects.toMatchObject({
    fix: 'name an image config, such as images/a.yml, images/b.yml, images/c.yml',
  });
});
