import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A server for the cache of Nx, by its protocol of self-hosted ones, in memory. */
export interface NxCacheServer extends AsyncDisposable {
  readonly url: string;
  readonly entries: Map<string, Buffer>;
}

export async function startNxCacheServer(): Promise<NxCacheServer> {
  const entries = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const key = request.url ?? '';
    const answer = async (): Promise<void> => {
      const found = entries.get(key);
      if (request.method === 'PUT') {
        if (found === undefined) entries.set(key, await buffer(request));
        response.writeHead(found === undefined ? 200 : 409).end();
      } else response.writeHead(found === undefined ? 404 : 200).end(found);
    };
    answer().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    entries,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
