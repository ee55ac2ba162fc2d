import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { at, client } from './support.ts';

/** Starts a registry whose lists never end. Each page is blank up to this length in bytes. */
async function endlessRegistry(length: number): Promise<{ host: string; pages: () => number }> {
  let pages = 0;
  const server = createServer((request, response) => {
    const next = { link: `<${request.url?.split('?')[0]}?last=${pages}>; rel="next"` };
    if (request.url?.includes('tags/list') === true) {
      pages += 1;
      response.writeHead(200, next).end(`{"tags":["a"]}${' '.repeat(length)}`);
    } else {
      response.writeHead(200).end('{}');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { host: `127.0.0.1:${port}`, pages: () => pages };
}

test('a list may have 64 MiB', async () => {
  const { host, pages } = await endlessRegistry(8_000_000);
  await expect(client().tags(at({ host }))).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
    message: `${host} returned a list of more than 67108864 bytes`,
  });
  expect(pages()).toBe(9);
});

test('a list may have 1000 pages', async () => {
  const { host, pages } = await endlessRegistry(0);
  await expect(client().tags(at({ host }))).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
    message: `${host} returned a list of more than 1000 pages`,
  });
  expect(pages()).toBe(1000);
});
