import { connect, createServer, type Server, type Socket } from 'node:net';

/** draft-ietf-sshm-ssh-agent, "Message numbers": what a command may ask of an agent. */
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const ALLOWED: ReadonlySet<number> = new Set([REQUEST_IDENTITIES, SIGN_REQUEST]);
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);

/** As in OpenSSH (AGENT_MAX_LEN). */
const MAX_MESSAGE = 256 * 1024;

/**
 * An SSH agent that has the keys of another: they can be listed and sign, and that is all. None can be added or
 * removed, and nothing be locked.
 * @param agent socket of the other
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

/** A refused request is answered here, when the answers to those before it have come: clients wait for each. */
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
