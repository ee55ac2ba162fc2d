import { afterAll, beforeAll, expect, test } from 'vitest';
import { servePages } from '../src/page-server.ts';

const TOKEN = '0123456789abcdef';
const errors: unknown[] = [];
let open: Awaited<ReturnType<typeof servePages>>;
let closed: Awaited<ReturnType<typeof servePages>>;

beforeAll(async () => {
  const options = {
    host: '127.0.0.1',
    port: 0,
    page: async (path: string) => {
      if (path === '/bad') throw new Error('secret detail');
      return path === '/' ? { type: 'text/plain', body: 'hello', refresh: 10 } : undefined;
    },
    onError: (error: unknown) => errors.push(error),
  };
  open = await servePages({ ...options, tokens: [] });
  closed = await servePages({ ...options, tokens: [TOKEN] });
});
afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

test('serves a page that a browser loads again, and caches nothing', async () => {
  const response = await fetch(`${open.url}/?query`);
  expect([response.status, await response.text()]).toEqual([200, 'hello']);
  expect(response.headers.get('refresh')).toBe('10');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect((await fetch(`${open.url}/`, { method: 'HEAD' })).status).toBe(200);
});

test('only reads', async () => {
  for (const method of ['POST', 'PUT', 'DELETE'])
    expect((await fetch(`${open.url}/`, { method })).status).toBe(405);
  expect((await fetch(`${open.url}/other`)).status).toBe(404);
});

test('requires the token', async () => {
  expect((await fetch(`${closed.url}/`)).status).toBe(401);
  const headers = { authorization: `Bearer ${TOKEN}` };
  expect((await fetch(`${closed.url}/`, { headers })).status).toBe(200);
  const wrong = { authorization: 'Bearer fedcba9876543210' };
  expect((await fetch(`${closed.url}/`, { headers: wrong })).status).toBe(401);
});

test('rejects requests that a web page makes', async () => {
  const headers = { origin: 'http://evil.example' };
  expect((await fetch(`${open.url}/`, { headers })).status).toBe(403);
});

test('reveals nothing about a failure to a client', async () => {
  const response = await fetch(`${open.url}/bad`);
  expect([response.status, (await response.text()).includes('secret')]).toEqual([500, false]);
  expect(errors).toHaveLength(1);
});
