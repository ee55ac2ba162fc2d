import { connect, createServer, type Server, type Socket } from 'node:net';

/** The requests that a command may send: draft-ietf-sshm-ssh-agent, "Message numbers". */
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const ALLOWED: ReadonlySet<number> = new Set([REQUEST_IDENTITIES, SIGN_REQUEST]);
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);

/** As in OpenSSH (AGENT_MAX_LEN). */
const MAX_MESSAGE = 256 * 1024;
const MAX_CONNECTIONS = 64;

/**
 * Returns a proxy of an SSH agent that only lists keys and signs. It rejects every other request,
 * such as adding keys or locking.
 * @param agent socket of the agent
 */
export function limitedAgent(agent: string): Server {
  const server = createServer((client) => {
    const upstream = connect(agent);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    upstream.pipe(client);
    forwardRequests(client, upstream, end);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

/**
 * Forwards allowed requests and rejects others at once: clients wait for each response before the
 * next request. One that does not read its responses is not read either, as it could fill the
 * memory of this process.
 */
function forwardRequests(client: Socket, upstream: Socket, end: () => void): void {
  let pending: Buffer = Buffer.alloc(0);
  const resume = (): void => {
    if (!client.writableNeedDrain && !upstream.writableNeedDrain) client.resume();
  };
  client.on('drain', resume);
  upstream.on('drain', resume);
  client.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 5) {
      const length = pending.readUInt32BE(0);
      if (length === 0 || length > MAX_MESSAGE) {
        end();
        return;
      }
      if (pending.length < 4 + length) break;
      const message = pending.subarray(0, 4 + length);
      pending = pending.subarray(4 + length);
      const isAllowed = ALLOWED.has(message[4] ?? 0);
      const isTaken = isAllowed ? upstream.write(message) : client.write(FAILURE);
      if (!isTaken) client.pause();
    }
  });
}
