import { createSocket } from 'node:dgram';
import { createServer, isIPv4 } from 'node:net';
import { isErrno, LktError } from '@lkt/core';

/** A port of the host that leads to a port of the guest. */
export interface Publication {
  /** The IPv4 address the host listens on. */
  readonly address: string;
  /** 0 asks for any free port. */
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/**
 * Reads `[ADDRESS:]PORT:PORT[/tcp|/udp]`. Without an address only this machine can connect (127.0.0.1).
 * @throws LktError USAGE_INVALID
 */
export function parsePublication(text: string): Publication {
  const wrong = (why: string): LktError =>
    new LktError('USAGE_INVALID', `--publish ${text}: ${why}`, {
      fix: 'write it as [ADDRESS:]HOSTPORT:GUESTPORT[/udp], such as 127.0.0.1:2222:22',
    });
  const [ports = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0 || (protocol !== 'tcp' && protocol !== 'udp'))
    throw wrong('the protocol is not tcp or udp');
  const parts = ports.split(':');
  const guest = parts.pop();
  const host = parts.pop();
  if (guest === undefined || host === undefined) throw wrong('there are not two ports');
  const address = parts.length === 0 ? '127.0.0.1' : parts.join(':');
  if (!isIPv4(address)) throw wrong(`"${address}" is not an IPv4 address`);
  const hostPort = portNumber(host);
  const guestPort = portNumber(guest);
  if (hostPort === undefined) throw wrong(`"${host}" is not a port`);
  if (guestPort === undefined || guestPort === 0) throw wrong(`"${guest}" is not a port`);
  return { address, hostPort, guestPort, protocol };
}

/**
 * Checks that the host's port is free, and fills in port 0. Another process may still take it before QEMU does.
 * @throws LktError RUN_FAILED if the port is in use or not allowed
 */
export async function claimPort(publication: Publication): Promise<Publication> {
  const { address, hostPort, protocol } = publication;
  try {
    const port = await (protocol === 'tcp' ? tryTcp : tryUdp)(address, hostPort);
    return { ...publication, hostPort: port };
  } catch (error) {
    const where = `${address}:${hostPort}`;
    if (isErrno(error, 'EADDRINUSE')) throw portInUse(where, publication);
    if (isErrno(error, 'EACCES')) {
      throw new LktError('RUN_FAILED', `this user may not listen on ${where}`, {
        fix: `publish a port above 1023, such as --publish ${8000 + publication.guestPort}:${publication.guestPort}`,
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

export function portInUse(where: string, { guestPort, protocol }: Publication): LktError {
  const suffix = protocol === 'udp' ? '/udp' : '';
  return new LktError('RUN_FAILED', `port ${where} is in use on this machine`, {
    fix: `publish another port, such as --publish 0:${guestPort}${suffix} for any free one`,
  });
}

function portNumber(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65535 ? port : undefined;
}

function tryTcp(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : port),
      );
    });
  });
}

function tryUdp(address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      const bound = socket.address().port;
      socket.close(() => resolve(bound));
    });
  });
}
