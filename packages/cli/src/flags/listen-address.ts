import { LktError } from '@lkt/core';
import type { Interfaces } from '@oclif/core';
import { valueFlag } from './options.ts';

/**
 * Defines `--listen`, and LinuxKit's name for it, `--port`.
 * @param port the default
 */
export function listenFlag(port: string): Interfaces.OptionFlag<string> {
  return valueFlag(
    '[ADDR:]PORT',
    'address to listen on; :PORT is all addresses, port 0 any free port',
    { default: port, aliases: ['port'] },
  );
}

/**
 * An address to listen on, given as `[ADDR:]PORT`. Without ADDR it is the loopback address; with an
 * empty ADDR, all addresses.
 */
export interface ListenAddress {
  /** Undefined for all addresses. */
  readonly host: string | undefined;
  readonly port: number;
  /** Whether only this machine can connect. */
  readonly isLoopback: boolean;
}

/**
 * Parses `[ADDR:]PORT`, the value of `--listen`.
 * @throws LktError USAGE_INVALID
 */
export function parseAddress(text: string): ListenAddress {
  const [, address, digits = ''] = /^(?:(.*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = digits === '' ? Number.NaN : Number(digits);
  if (!(port <= 65_535))
    throw new LktError('USAGE_INVALID', `--listen ${text} is not an address and a port`, {
      fix: 'write it as 8080, :8080 or 127.0.0.1:8080',
    });
  if (address === undefined) return { host: '127.0.0.1', port, isLoopback: true };
  const host = address.replace(/^\[(.*)\]$/, '$1');
  return {
    host: host === '' ? undefined : host,
    port,
    isLoopback: host === '::1' || host === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(host),
  };
}
