import { createServer, type RequestListener } from 'node:http';
import { onTestFinished } from 'vitest';
import { download, type DownloadOptions, mirrorClient } from '../src/archive/download.ts';
import type { Mirror } from '../src/archive/mirror.ts';
import { collect } from './support.ts';

export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}/debian`;
}

export function mirror(...addresses: readonly string[]): Mirror {
  return { source: 'the test', archives: { debian: addresses, 'debian-security': [] } };
}

export async function from<T>(
  source: Mirror,
  read: (content: AsyncIterable<Uint8Array>) => Promise<T>,
  { idle = 10_000, ...options }: DownloadOptions & { readonly idle?: number } = {},
): Promise<T> {
  await using http = mirrorClient(source, { backoff: [1, 1], idle });
  return await download(http, source, 'debian', 'pool/a', read, options);
}

export const get = async (
  source: Mirror,
  options: Parameters<typeof from>[2] = {},
): Promise<string> => (await from(source, collect, options)).toString();
