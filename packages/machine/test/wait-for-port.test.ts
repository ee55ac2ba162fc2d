import { createServer, type Server } from 'node:net';
import { expect, test } from 'vitest';
import { waitForPort } from '../src/wait-for-port.ts';

async function serve(words: string[]): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.end(words.shift() ?? ''));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

test('waits for the greeting, not only for a connection', async () => {
  const { server, port } = await serve(['', 'HTTP/1.0', 'SSH-2.0-test\r\n']);
  expect(await waitForPort({ port, greeting: 'SSH-', timeoutMs: 10_000 })).toBe('SSH-2.0-test\r\n');
  server.close();
});

test('fails after the time-out', async () => {
  const { server, port } = await serve([]);
  await expect(waitForPort({ port, timeoutMs: 300 })).rejects.toThrow(/no server answers/);
  server.close();
});
