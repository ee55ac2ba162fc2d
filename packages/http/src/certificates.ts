import { readFile } from 'node:fs/promises';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { LktError } from '@lkt/core';
import type { HttpOptions } from './options.ts';

/** Contexts by their sources: parsing hundreds of certificates takes a while. */
const contexts = new Map<string, SecureContext>();

/**
 * Returns the trusted certificate authorities: those of Node and the system, or of `SSL_CERT_FILE`
 * in their place, as in OpenSSL and Go; plus those of `NODE_EXTRA_CA_CERTS` and `ca`.
 * @throws CONFIG_INVALID if a file cannot be read or contains no certificate
 */
export async function trustedAuthorities({
  env = {},
  ca = [],
  clientCertificate,
}: HttpOptions): Promise<SecureContext> {
  const replaced = await fromVariable(env, 'SSL_CERT_FILE');
  const extra = await fromVariable(env, 'NODE_EXTRA_CA_CERTS');
  const key = JSON.stringify([replaced, extra, ca]);
  const known = contexts.get(key);
  if (known !== undefined && clientCertificate === undefined) return known;
  const roots = replaced ?? [...getCACertificates('default'), ...getCACertificates('system')];
  try {
    const authorities = [...new Set([...roots, ...(extra ?? []), ...ca])];
    // A private key is not kept for others.
    if (clientCertificate !== undefined)
      return createSecureContext({ ca: authorities, ...clientCertificate });
    const context = createSecureContext({ ca: authorities });
    contexts.set(key, context);
    return context;
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', 'a certificate authority file is invalid', {
      cause,
      fix: 'check the files in SSL_CERT_FILE and NODE_EXTRA_CA_CERTS',
    });
  }
}

async function fromVariable(
  env: NonNullable<HttpOptions['env']>,
  name: string,
): Promise<string[] | undefined> {
  const path = env[name];
  if (path === undefined || path === '') return undefined;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', `cannot read ${path}, given by ${name}`, {
      cause,
      fix: `name a file of certificates, or unset ${name}`,
    });
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return [text];
  throw new LktError('CONFIG_INVALID', `${path}, given by ${name}, contains no certificate`, {
    fix: 'use a file of certificates in PEM form',
  });
}
