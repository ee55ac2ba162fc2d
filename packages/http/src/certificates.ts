import { readFile } from 'node:fs/promises';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { LktError } from '@lkt/core';
import type { HttpOptions } from './client.ts';

/** Hundreds of certificates take a while to read. */
const contexts = new Map<string, SecureContext>();

/**
 * Whom to believe who a server is: Node's certificate authorities and the system's, or those of `SSL_CERT_FILE` in
 * their place, as OpenSSL and Go have it; and those of `NODE_EXTRA_CA_CERTS` and `ca`.
 * @throws LktError CONFIG_INVALID when a file cannot be read or holds no certificate
 */
export async function trustedAuthorities({
  env = {},
  ca = [],
}: HttpOptions): Promise<SecureContext> {
  const replaced = await fromVariable(env, 'SSL_CERT_FILE');
  const extra = await fromVariable(env, 'NODE_EXTRA_CA_CERTS');
  const key = JSON.stringify([replaced, extra, ca]);
  const known = contexts.get(key);
  if (known !== undefined) return known;
  const roots = replaced ?? [...getCACertificates('default'), ...getCACertificates('system')];
  try {
    const context = createSecureContext({ ca: [...new Set([...roots, ...(extra ?? []), ...ca])] });
    contexts.set(key, context);
    return context;
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', 'a certificate of an authority cannot be read', {
      cause,
      fix: 'look at the files that SSL_CERT_FILE and NODE_EXTRA_CA_CERTS name',
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
    throw new LktError('CONFIG_INVALID', `${name} names ${path}, which cannot be read`, { cause });
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return [text];
  throw new LktError('CONFIG_INVALID', `${name} names ${path}, which holds no certificate`, {
    fix: 'name a file of certificates in PEM form',
  });
}
