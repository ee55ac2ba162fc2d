import { connect, createServer, type Server, type Socket } from 'node:net';

/** The requests that a command may send: draft-ietf-sshm-ssh-agent, "Message numbers". */
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const ALLOWED: ReadonlySet<number> = new Set([REQUEST_IDENTITIES, SIGN_REQUEST]);
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);

/** As in OpenSSH (AGENT_MAX_LEN). */
const MAX_MESSAGE = 256 * 1024;

/**
 * Returns a proxy of an SSH agent that only lists keys and signs. It rejects every other request,
 * such as adding keys or locking.
 * @param agent socket of the agent
 */
export function limitedAgent(agent: string): Server {
  return createServer((client) => {
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
}

/**
 * Forwards allowed requests and rejects others at once: clients wait for each response before the
 * next request.
 */
function forwardRequests(client: Socket, upstream: Socket, end: () => void): void {
  let pending: Buffer = Buffer.alloc(0);
  client.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 5) {
      const length = pending.readUInt32BE(0);
      if (length === 0 || length > MAX_MESSAGE) {
        end();
        return;
      }
      if (pending.length < 4 + length) return;
      const message = pending.subarray(0, 4 + length);
      pending = pending.subarray(4 + length);
      if (ALLOWED.has(message[4] ?? 0)) upstream.write(message);
      else client.write(FAILURE);
    }
  });
}
