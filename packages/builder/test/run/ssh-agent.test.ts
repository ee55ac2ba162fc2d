import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { limitedAgent } from '../../src/secrets/ssh-agent.ts';

const LIST = Buffer.from([0, 0, 0, 1, 11]);
const LOCK = Buffer.from([0, 0, 0, 1, 22]);
const FLOOD_BYTES = 32 * 1024 * 1024;

async function listen(server: Server, path: string): Promise<AsyncDisposable> {
  server.listen(path);
  await once(server, 'listening');
  return { [Symbol.asyncDispose]: async () => void server.close() };
}

/** Returns how many bytes were read from a socket, once no more are. */
async function bytesReadAtRest(socket: Socket): Promise<number> {
  for (;;) {
    const before = socket.bytesRead;
    await setTimeout(300);
    if (before > 0 && socket.bytesRead === before) return before;
  }
}

// Otherwise a command could fill the memory of the machine, whatever its own limit.
test.each([
  ['the agent does not read them', LIST],
  ['the command does not read the responses', LOCK],
])('takes no more requests while %s', async (_, request) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-agent-'));
  const agent = createServer({ pauseOnConnect: true });
  await using servers = new AsyncDisposableStack();
  servers.use(await listen(agent, join(dir.path, 'agent')));
  const proxy = limitedAgent(join(dir.path, 'agent'));
  servers.use(await listen(proxy, join(dir.path, 'proxy')));
  const accepted = once(proxy, 'connection');
  const client = connect(join(dir.path, 'proxy'));
  client.on('error', () => undefined);
  client.write(Buffer.alloc(FLOOD_BYTES, request));
  const [socket] = (await accepted) as [Socket];
  expect(await bytesReadAtRest(socket)).toBeLessThan(FLOOD_BYTES / 8);
  client.destroy();
  socket.destroy();
});
