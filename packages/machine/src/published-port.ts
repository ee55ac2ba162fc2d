import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv4 } from 'node:net';
import { isErrno, LktError } from '@lkt/core';

/** A host port forwarded to a port of the guest. */
export interface PublishedPort {
  /** IPv4 address of the host to listen on. */
  readonly address: string;
  /** 0 selects any free port. */
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/**
 * Parses `[ADDRESS:]PORT:PORT[/tcp|/udp]`. The default address is 127.0.0.1, which only the host
 * can reach.
 * @throws USAGE_INVALID
 * @example
 * ```ts
 * parsePublishedPort('2222:22'); // guest port 22 as 127.0.0.1:2222
 * ```
 */
export function parsePublishedPort(text: string): PublishedPort {
  const wrong = (why: string): LktError =>
    new LktError('USAGE_INVALID', `--publish ${text}: ${why}`, {
      fix: 'write it as [ADDRESS:]HOSTPORT:GUESTPORT[/udp], such as 127.0.0.1:2222:22',
    });
  const [ports = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0 || (protocol !== 'tcp' && protocol !== 'udp'))
    throw wrong('the protocol must be tcp or udp');
  const parts = ports.split(':');
  const guest = parts.pop();
  const host = parts.pop();
  if (guest === undefined || host === undefined) throw wrong('two ports are required');
  const address = parts.length === 0 ? '127.0.0.1' : parts.join(':');
  if (!isIPv4(address)) throw wrong(`"${address}" is not an IPv4 address`);
  const hostPort = portNumber(host);
  const guestPort = portNumber(guest);
  if (hostPort === undefined) throw wrong(`"${host}" is not a port`);
  if (guestPort === undefined || guestPort === 0) throw wrong(`"${guest}" is not a port`);
  return { address, hostPort, guestPort, protocol };
}

/**
 * Checks that the host port is free, and selects one for port 0. Another process may take it before
 * QEMU does.
 * @throws RUN_FAILED if the port is in use or not permitted
 */
export async function resolveHostPort(port: PublishedPort): Promise<PublishedPort> {
  const { address, hostPort, protocol } = port;
  try {
    const free = await (protocol === 'tcp' ? tryTcp : tryUdp)(address, hostPort);
    return { ...port, hostPort: free };
  } catch (error) {
    const where = `${address}:${hostPort}`;
    if (isErrno(error, 'EADDRINUSE')) throw portInUse(where, port);
    if (isErrno(error, 'EACCES')) {
      throw new LktError('RUN_FAILED', `this user is not permitted to listen on ${where}`, {
        fix: `publish a port above 1023, such as --publish ${8000 + port.guestPort}:${port.guestPort}`,
      });
    }
    if (isErrno(error, 'EADDRNOTAVAIL')) {
      throw new LktError('RUN_FAILED', `${address} is not an address of this machine`, {
        fix: 'publish on 127.0.0.1, or on 0.0.0.0 for all addresses',
      });
    }
    throw error;
  }
}

/** Returns the error for a host port in use. */
export function portInUse(where: string, { guestPort, protocol }: PublishedPort): LktError {
  const suffix = protocol === 'udp' ? '/udp' : '';
  return new LktError('RUN_FAILED', `port ${where} is in use on this machine`, {
    fix: `publish another port, such as --publish 0:${guestPort}${suffix} for any free one`,
  });
}

function portNumber(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65535 ? port : undefined;
}

async function tryTcp(host: string, port: number): Promise<number> {
  await using server = createServer().listen({ host, port, exclusive: true });
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function tryUdp(address: string, port: number): Promise<number> {
  await using socket = createSocket('udp4');
  socket.bind({ address, port, exclusive: true });
  await once(socket, 'listening');
  return socket.address().port;
}
