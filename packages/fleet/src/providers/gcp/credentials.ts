import { sign } from 'node:crypto';
import { LktError } from '@lkt/core';
import { ProviderError } from '../../provider.ts';
import { textOf } from '../../rest/json-object.ts';
import { RestClient } from '../../rest/rest-client.ts';
import { TokenCache, tokenOf } from '../../rest/token-cache.ts';
import { readSecretFile } from '../../secret-file.ts';

/** Where credentials are. */
export interface GcpCredentials {
  /** Key of a service account; undefined: by the variables. */
  readonly credentialsFile: string | undefined;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

const SCOPES = [
  'https://www.googleapis.com/auth/compute',
  'https://www.googleapis.com/auth/devstorage.read_write',
].join(' ');
const TOKEN_URL = 'https://oauth2.googleapis.com/token';
const METADATA_HOST = 'metadata.google.internal';
const METADATA_PATH = '/computeMetadata/v1/instance/service-accounts/default/token';
const METADATA_MS = 5000;
const ASSERTION_SECONDS = 600;
const FIX = 'give the service account the role of docs/fleet/gcp.md';

/**
 * Returns the tokens of a service account: by its key, or by the metadata server of a machine of
 * Google's.
 * @param endpoint a server that stands in for Google's
 */
export function gcpTokens(
  { credentialsFile, variables }: GcpCredentials,
  endpoint: string | undefined,
): TokenCache {
  const given = variables['GOOGLE_APPLICATION_CREDENTIALS'] ?? '';
  const path = credentialsFile ?? (given === '' ? undefined : given);
  return new TokenCache(async (signal) => {
    await using client = new RestClient({
      name: 'gcp',
      variables,
      authorize: async () => ({}),
      rightsFix: FIX,
    });
    if (path === undefined) {
      const host = variables['GCE_METADATA_HOST'] ?? METADATA_HOST;
      const url = `http://${host}${METADATA_PATH}`;
      const { body } = await client
        .call('token of the machine', url, {
          headers: { 'metadata-flavor': 'Google' },
          signal,
          timeoutMs: METADATA_MS,
        })
        .catch((cause: unknown) => {
          signal.throwIfAborted();
          throw new ProviderError('denied', 'gcp: there are no credentials', {
            cause,
            fix: 'set credentialsFile of the provider, or GOOGLE_APPLICATION_CREDENTIALS',
          });
        });
      return tokenOf('gcp', body);
    }
    const key = await readKey(path);
    const { body } = await client.call(
      'token',
      endpoint === undefined ? TOKEN_URL : `${endpoint}/token`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: assertionOf(key),
        }).toString(),
        signal,
      },
    );
    return tokenOf('gcp', body);
  });
}

interface ServiceAccountKey {
  readonly email: string;
  readonly keyId: string;
  readonly privateKey: string;
}

async function readKey(path: string): Promise<ServiceAccountKey> {
  const text = await readSecretFile(path);
  const invalid = (cause?: unknown): LktError =>
    new LktError('CONFIG_INVALID', `${path} is not the key of a service account`, {
      cause,
      fix: 'use a JSON key file of type service_account',
    });
  let key: Readonly<Record<string, unknown>>;
  try {
    key = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    // The parser's message has a part of the text.
    throw invalid();
  }
  const email = textOf(key['client_email']);
  const privateKey = textOf(key['private_key']);
  if (key['type'] !== 'service_account' || email === '' || privateKey === '') throw invalid();
  return { email, privateKey, keyId: textOf(key['private_key_id']) };
}

/** Returns a signed claim (RFC 7523) that is valid for ten minutes. */
function assertionOf({ email, keyId, privateKey }: ServiceAccountKey): string {
  const now = Math.floor(Date.now() / 1000);
  const parts = [
    { alg: 'RS256', typ: 'JWT', kid: keyId },
    { iss: email, scope: SCOPES, aud: TOKEN_URL, iat: now, exp: now + ASSERTION_SECONDS },
  ];
  const text = parts
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  try {
    const signature = sign('sha256', Buffer.from(text), privateKey);
    return `${text}.${signature.toString('base64url')}`;
  } catch {
    throw new LktError('CONFIG_INVALID', `the private key of ${email} cannot be read`, {
      fix: 'create another key of the service account',
    });
  }
}
