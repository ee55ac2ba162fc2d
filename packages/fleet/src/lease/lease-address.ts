import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { LktError } from '@lkt/core';
import { isLoopback } from '@lkt/http';
import { readSecretFile } from '../secret-file.ts';
import { etcdLease, type EtcdLeaseOptions } from './etcd-lease.ts';
import { fileLease } from './file-lease.ts';
import type { LeaseKeeper } from './lease.ts';
import { readCertificates } from '../certificates-file.ts';

/** Where a lease is kept, and for which fleet. */
export interface LeaseOptions {
  readonly fleet: string;
  /** `file:PATH`, `etcd://HOST:PORT,…?ttl=SECONDS`, `etcds://…`; undefined: `defaultPath`. */
  readonly address: string | undefined;
  /** Base of a relative path. */
  readonly dir: string;
  readonly defaultPath: string;
  /** `ETCDCTL_CACERT`, `_CERT`, `_KEY` and `_USER` count, as for etcdctl. */
  readonly variables: Readonly<Record<string, string | undefined>>;
}

const DEFAULT_TTL = 15;
/** Bounds of the time to live of a lease in seconds; etcd grants no less than two. */
const TTL = { min: 2, max: 3600 };
const ETCD =
  /^(?<scheme>etcds?):\/\/(?<hosts>[A-Za-z0-9.:[\],-]{1,1024})(?:\?ttl=(?<ttl>\d{1,4}))?$/;
const HOST = /^(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9a-fA-F:.]{2,45}\]):\d{1,5}$/;

/**
 * Opens the lease that an address names.
 * @throws LktError USAGE_INVALID for an invalid address; NOT_FOUND, CONFIG_INVALID for what the
 * variables name
 */
export async function openLease(options: LeaseOptions): Promise<LeaseKeeper> {
  const { address, dir, fleet, defaultPath } = options;
  if (address === undefined) return fileLease(defaultPath);
  if (address.startsWith('file:') && address.length > 5)
    return fileLease(resolve(dir, address.slice(5)));
  const { scheme, hosts = '', ttl } = ETCD.exec(address)?.groups ?? {};
  if (scheme === undefined) throw invalid(`"${address}" is not the address of a lease`);
  const seconds = ttl === undefined ? DEFAULT_TTL : Number(ttl);
  if (seconds < TTL.min || seconds > TTL.max)
    throw invalid(`a lease of ${seconds} s is not between ${TTL.min} and ${TTL.max} s`);
  const protocol = scheme === 'etcds' ? 'https' : 'http';
  const endpoints = hosts.split(',').map((host) => {
    if (!HOST.test(host) || !URL.canParse(`${protocol}://${host}`))
      throw invalid(`"${host}" is not HOST:PORT of etcd`);
    const url = new URL(`${protocol}://${host}`);
    if (protocol === 'http' && !isLoopback(url.hostname))
      throw new LktError('USAGE_INVALID', `etcd at ${host} would be used without TLS`, {
        fix: `write etcds://${host}, and set ETCDCTL_CACERT if its authority is your own`,
      });
    return url.origin;
  });
  return etcdLease({ fleet, ttl: seconds, endpoints, ...(await credentials(options)) });
}

function invalid(message: string): LktError {
  return new LktError('USAGE_INVALID', message, {
    fix: 'write file:PATH, etcds://HOST:PORT, or etcd://127.0.0.1:PORT',
  });
}

async function credentials({
  dir,
  variables,
}: LeaseOptions): Promise<Pick<EtcdLeaseOptions, 'ca' | 'clientCertificate' | 'user'>> {
  const { ETCDCTL_CACERT: caPath = '', ETCDCTL_USER: user = '' } = variables;
  const { ETCDCTL_CERT: certPath = '', ETCDCTL_KEY: keyPath = '' } = variables;
  const [name = '', ...password] = user.split(':');
  if (user !== '' && (name === '' || password.length === 0))
    throw new LktError('CONFIG_INVALID', 'ETCDCTL_USER is not NAME:PASSWORD');
  if ((certPath === '') !== (keyPath === ''))
    throw new LktError('CONFIG_INVALID', 'only one of ETCDCTL_CERT and ETCDCTL_KEY is set', {
      fix: 'set both, or neither',
    });
  const ca =
    caPath === '' ? undefined : await readCertificates(resolve(dir, caPath), 'ETCDCTL_CACERT');
  const clientCertificate =
    certPath === '' ? undefined : await readPair(resolve(dir, certPath), resolve(dir, keyPath));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
    ...(user === '' ? {} : { user: { name, password: password.join(':') } }),
  };
}

/** Returns a certificate and its private key, which only its owner may read. */
async function readPair(
  certPath: string,
  keyPath: string,
): Promise<{ readonly cert: string; readonly key: string }> {
  const cert = await readCertificates(certPath, 'ETCDCTL_CERT');
  const key = await readSecretFile(keyPath);
  try {
    createSecureContext({ cert, key });
  } catch {
    // OpenSSL's message could have a part of the key.
    throw new LktError('CONFIG_INVALID', `${keyPath} is not the private key of ${certPath}`, {
      fix: 'set ETCDCTL_CERT and ETCDCTL_KEY to a pair in PEM form, without a passphrase',
    });
  }
  return { cert, key };
}
