import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isErrno, LktError } from '@lkt/core';

/**
 * Starts a server and returns its address as `host:port`.
 * @param host an address of this machine; undefined for all
 * @param port 0 selects a free port
 * @throws RUN_FAILED if the address is taken, not permitted or not of this machine
 */
export async function listen(
  server: Server,
  host: string | undefined,
  port: number,
): Promise<string> {
  await new Promise<void>((listening, failed) => {
    server.on('error', failed).listen(port, host, listening);
  }).catch((error: unknown) => {
    if (!isErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND')) throw error;
    throw new LktError('RUN_FAILED', `cannot listen on ${host ?? ''}:${port}`, {
      cause: error,
      fix: isErrno(error, 'EADDRINUSE')
        ? 'stop what listens there, or choose another port: --listen PORT'
        : 'choose an address of this machine, and a port above 1023: --listen ADDRESS:PORT',
    });
  });
  const bound = server.address() as AddressInfo;
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `${name}:${bound.port}`;
}
