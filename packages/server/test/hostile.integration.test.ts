import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { serve } from './support.ts';

test('streams a large blob with little memory', async () => {
  await using served = await serve();
  const chunk = randomBytes(2 ** 20);
  const hash = createHash('sha256');
  const count = 256;
  for (let i = 0; i < count; i += 1) hash.update(chunk);
  const digest = `sha256:${hash.digest('hex')}`;
  const body = (): ReadableStream => {
    let left = count;
    return new ReadableStream({
      pull(controller) {
        if (left === 0) controller.close();
        else controller.enqueue(chunk);
        left -= 1;
      },
    });
  };
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  const started = await served.fetch('/v2/a/blobs/uploads/', { method: 'POST' });
  const location = started.headers.get('location') ?? '';
  const options = { body: body(), duplex: 'half' } as RequestInit;
  await served.fetch(location, { method: 'PATCH', ...options });
  const put = await served.fetch(`${location}?digest=${digest}`, { method: 'PUT' });
  expect(put.status).toBe(201);
  let size = 0;
  const got = await served.fetch(`/v2/a/blobs/${digest}`);
  for await (const part of got.body ?? []) size += part.length;
  clearInterval(timer);
  expect(size).toBe(count * chunk.length);
  // Client and server share this process.
  expect(peak - before).toBeLessThan(160 * 2 ** 20);
});

test.each(['PATCH', 'PUT'])(
  'answers 507 to a %s that fills the disk, and goes on',
  async (method) => {
    const script = `
    const { openStore } = await import('@lkt/oci');
    const { startServer } = await import(${JSON.stringify(join(import.meta.dirname, '../src/server.ts'))});
    const store = await openStore('/mnt/store');
    const tokens = { read: [], write: [], delete: [] };
    const onError = ({ code }) => console.log(code);
    const { url } = await startServer({ store, host: '127.0.0.1', port: 0, tokens, onError });
    console.log(url);`;
    const root = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    const mounted = 'mount -t tmpfs -o size=4m none /mnt; exec "$@"';
    const node = [process.execPath, '--input-type=module', '--eval', script];
    const words = ['--mount', ...root, '--', 'sh', '-ec', mounted, 'sh', ...node];
    const child = spawn('unshare', words, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const url = String((await lines.next()).value);
      const start = async (): Promise<string> => {
        const started = await fetch(`${url}/v2/a/blobs/uploads/`, { method: 'POST' });
        return new URL(started.headers.get('location') ?? '', url).href;
      };
      const put = async (body: Buffer): Promise<Response> =>
        fetch(`${await start()}?digest=${digestOf(body)}`, { method: 'PUT', body });
      // The client has sent all when the disk is full, and reads the answer.
      const body = randomBytes(4.25 * 2 ** 20);
      const answer =
        method === 'PUT' ? await put(body) : await fetch(await start(), { method, body });
      expect(answer.status).toBe(507);
      expect(await answer.text()).toContain('the disk of the server is full');
      expect((await lines.next()).value).toBe('DISK_FULL');
      expect((await put(Buffer.from('small'))).status).toBe(201);
    } finally {
      child.kill();
    }
  },
);
