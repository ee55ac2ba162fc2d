import { createHash, randomBytes } from 'node:crypto';
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
