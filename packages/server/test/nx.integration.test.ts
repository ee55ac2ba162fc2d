import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { READ, errorOf, run, serve, type Served, WRITE } from './support.ts';

const nx = join(import.meta.dirname, '../../../node_modules/.bin/nx');
const put = async (served: Served, hash: string, body: string): Promise<Response> =>
  served.fetch(`/v1/cache/${hash}`, { method: 'PUT', body });

test('keeps the first record of a hash, also of concurrent requests', async () => {
  await using served = await serve();
  expect(await errorOf(await served.fetch('/v1/cache/12'))).toBe('404 NOT_FOUND');
  expect((await put(served, '12', 'content')).status).toBe(200);
  expect(await errorOf(await put(served, '12', 'other'))).toBe('409 CONFLICT');
  const got = await served.fetch('/v1/cache/12');
  expect(got.headers.get('content-type')).toBe('application/octet-stream');
  expect(await got.text()).toBe('content');
  const many = await Promise.all(['a', 'b', 'c', 'd'].map(async (text) => put(served, '13', text)));
  expect(many.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409, 409, 409]);
  expect((await put(served, '14', '')).status).toBe(200);
  expect(await (await served.fetch('/v1/cache/14')).text()).toBe('');
  expect((await served.fetch('/v1/cache/12', { method: 'DELETE' })).status).toBe(405);
  // Late clients receive their response before their temporary files are removed.
  await expect.poll(async () => readdir(join(served.store.dir, 'tmp'))).toEqual([]);
});

test('breaks off a damaged record and removes it', async () => {
  await using served = await serve();
  const content = 'x'.repeat(1_000_000);
  await put(served, '1', content);
  const path = join(served.store.dir, 'nx/1');
  const bytes = await readFile(path);
  bytes[700_000] = 0;
  await writeFile(path, bytes);
  await expect(served.fetch('/v1/cache/1').then(async (got) => got.text())).rejects.toThrow();
  expect((await served.fetch('/v1/cache/1')).status).toBe(404);
  expect((await put(served, '1', content)).status).toBe(200);
  expect(served.errors).toHaveLength(1);
});

test('Nx shares its outputs between machines', { timeout: 120_000 }, async () => {
  await using served = await serve({ tokens: { write: [WRITE], read: [READ], delete: [] } });
  const machine = async (name: string, token: string, text: string): Promise<string> => {
    const dir = join(served.dir, name);
    await mkdir(join(dir, 'app'), { recursive: true });
    await symlink(join(import.meta.dirname, '../../../node_modules'), join(dir, 'node_modules'));
    const json = async (path: string, value: unknown): Promise<void> =>
      writeFile(join(dir, path), JSON.stringify(value));
    await json('package.json', { name: 'w', private: true });
    await json('nx.json', {
      analytics: false,
      neverConnectToCloud: true,
      useDaemonProcess: false,
    });
    await json('app/project.json', {
      name: 'app',
      targets: {
        build: {
          command:
            "node -e \"fs.mkdirSync('out',{recursive:true});fs.copyFileSync('app/in','out/app');console.log('done here')\"",
          cache: true,
          inputs: ['{projectRoot}/in'],
          outputs: ['{workspaceRoot}/out'],
        },
      },
    });
    await writeFile(join(dir, 'app/in'), text);
    const { stdout } = await run(
      process.execPath,
      [nx, 'run', 'app:build', '--output-style=static'],
      {
        cwd: dir,
        env: {
          PATH: process.env['PATH'],
          HOME: dir,
          NX_SELF_HOSTED_REMOTE_CACHE_SERVER: served.url,
          NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN: token,
          NX_ISOLATE_PLUGINS: 'false',
          NX_DAEMON: 'false',
          NX_WORKSPACE_DATA_DIRECTORY: join(dir, '.nx/data'),
        },
      },
    );
    expect(await readFile(join(dir, 'out/app'), 'utf8')).toBe(text);
    return stdout;
  };
  expect(await machine('one', WRITE, 'same')).toContain('done here');
  const second = await machine('two', READ, 'same');
  expect(second).toContain('[remote cache]');
  // With a read token, a missing record is not stored, and the task still runs.
  expect(await machine('three', READ, 'other')).not.toContain('[remote cache]');
  await expect(readdir(join(served.store.dir, 'nx'))).resolves.toHaveLength(1);
});
