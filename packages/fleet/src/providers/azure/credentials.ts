import { readFile } from 'node:fs/promises';
import { LktError } from '@lkt/core';
import { ProviderError } from '../../provider.ts';
import { RestClient } from '../../rest/rest-client.ts';
import { type Token, TokenCache, tokenOf } from '../../rest/token-cache.ts';

type Variables = Readonly<Record<string, string | undefined>>;

const AUTHORITY = 'https://login.microsoftonline.com';
const METADATA = 'http://169.254.169.254';
const RESOURCE = 'https://management.azure.com/';
const METADATA_MS = 5000;
const TENANT = /^[A-Za-z0-9.-]{1,128}$/;
const FIX = 'set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET';

/**
 * Returns the tokens of a service principal by its secret or a federated token, as the variables of
 * Azure's SDK name them; else those of a machine's managed identity.
 * @param endpoint a server that stands in for Azure's
 */
export function azureTokens(variables: Variables, endpoint: string | undefined): TokenCache {
  const {
    AZURE_TENANT_ID: tenant = '',
    AZURE_CLIENT_ID: client = '',
    AZURE_CLIENT_SECRET: secret = '',
    AZURE_FEDERATED_TOKEN_FILE: tokenFile = '',
  } = variables;
  return new TokenCache(async (signal) => {
    await using rest = new RestClient({
      name: 'azure',
      variables,
      authorize: async () => ({}),
      rightsFix: FIX,
    });
    if (secret === '' && tokenFile === '') return machineToken(rest, client, endpoint, signal);
    if (!TENANT.test(tenant) || client === '')
      throw new LktError('CONFIG_INVALID', 'AZURE_TENANT_ID or AZURE_CLIENT_ID is missing', {
        fix: FIX,
      });
    const proof: Readonly<Record<string, string>> =
      secret === ''
        ? {
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: await readToken(tokenFile),
          }
        : { client_secret: secret };
    const url = `${endpoint ?? AUTHORITY}/${tenant}/oauth2/v2.0/token`;
    const { body } = await rest.call('token', url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: client,
        scope: `${RESOURCE}.default`,
        ...proof,
      }).toString(),
      signal,
    });
    return tokenOf('azure', body);
  });
}

async function machineToken(
  rest: RestClient,
  client: string,
  endpoint: string | undefined,
  signal: AbortSignal,
): Promise<Token> {
  const query = new URLSearchParams({
    'api-version': '2018-02-01',
    resource: RESOURCE,
    ...(client === '' ? {} : { client_id: client }),
  });
  const url = `${endpoint ?? METADATA}/metadata/identity/oauth2/token?${query.toString()}`;
  const { body } = await rest
    .call('token of the machine', url, {
      headers: { metadata: 'true' },
      signal,
      timeoutMs: METADATA_MS,
    })
    .catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new ProviderError('denied', 'azure: there are no credentials', { cause, fix: FIX });
    });
  return tokenOf('azure', body);
}

async function readToken(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new LktError('NOT_FOUND', `cannot read ${path}, given by AZURE_FEDERATED_TOKEN_FILE`, {
      cause,
    });
  });
  return text.trim();
}
