import { isIP } from 'node:net';
import { LktError } from '@lkt/core';
import { type HttpClient, type HttpResponse, isLoopback, redactUrl } from '@lkt/http';
import type { Challenge } from './challenge.ts';
import type { Credentials } from './credential-types.ts';

/** A bearer token of a registry. */
export interface Token {
  readonly text: string;
  /** Expiry as a time of `performance.now()`. */
  readonly expires: number;
}

const MAX_RESPONSE_BYTES = 64 * 1024;
const MAX_REDIRECTS = 5;
/** The default lifetime (https://distribution.github.io/distribution/spec/auth/token/). */
const DEFAULT_SECONDS = 60;
const MARGIN_SECONDS = 10;

/**
 * Requests a token from the service of a challenge: by Docker's protocol with a password or
 * anonymously, by OAuth2 with a refresh token.
 * @throws ACCESS_DENIED, NETWORK_FAILED
 */
export async function requestToken(
  http: HttpClient,
  registry: URL,
  { parameters }: Challenge,
  scopes: readonly string[],
  credentials: Exclude<Credentials, { kind: 'bearer' }> | undefined,
): Promise<Token> {
  const realm = checkedRealm(parameters['realm'] ?? '', registry, registry);
  const { service } = parameters;
  if (credentials?.kind === 'refresh') {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'lkt' });
    if (service !== undefined) form.set('service', service);
    form.set('scope', scopes.join(' '));
    form.set('refresh_token', credentials.token);
    const response = await http.request(realm, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    });
    return tokenFrom(response, registry, true);
  }
  if (service !== undefined) realm.searchParams.set('service', service);
  for (const scope of scopes) realm.searchParams.append('scope', scope);
  let url = realm;
  let headers: Record<string, string> = {};
  if (credentials !== undefined) {
    url.searchParams.set('account', credentials.username);
    headers = { authorization: basic(credentials) };
  }
  for (let hop = 0; ; hop += 1) {
    const response = await http.request(url, { headers, redirect: false });
    const location = response.header('location');
    if (response.status < 300 || response.status > 399 || location === undefined)
      return tokenFrom(response, registry, credentials !== undefined);
    await response.discard();
    if (hop === MAX_REDIRECTS)
      throw new LktError(
        'NETWORK_FAILED',
        `${redactUrl(url)} redirects more than ${MAX_REDIRECTS} times`,
      );
    const next = checkedRealm(location, registry, url);
    if (next.origin !== url.origin) headers = {};
    url = next;
  }
}

/** Returns the fix text for missing credentials. */
export function loginFix(host: string): string {
  return `log in: lkt login ${host}`;
}

/** Returns a `Basic` authorization header (RFC 7617). */
export function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/**
 * Returns the address of a token service. Rejects addresses that only the user's machine can reach,
 * and plain http after https.
 */
function checkedRealm(text: string, registry: URL, base: URL): URL {
  const url = URL.canParse(text, base.href) ? new URL(text, base) : undefined;
  const who = `the registry ${registry.host}`;
  if (url === undefined)
    throw new LktError('ACCESS_DENIED', `${who} has an invalid token service address`);
  url.username = '';
  url.password = '';
  const isSafe =
    url.protocol === 'https:' || (url.protocol === 'http:' && registry.protocol === 'http:');
  if (!isSafe)
    throw new LktError(
      'ACCESS_DENIED',
      `${who} uses the token service ${redactUrl(url)}, which is not https`,
    );
  if (url.hostname !== registry.hostname && isPrivate(url.hostname))
    throw new LktError(
      'ACCESS_DENIED',
      `${who} uses a token service in a private network, ${url.host}`,
    );
  return url;
}

/** Reports whether this is a private or loopback address (RFC 6890). */
function isPrivate(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isLoopback(hostname)) return true;
  if (isIP(address) === 4)
    return /^(?:0|10|127|169\.254|172\.(?:1[6-9]|2\d|3[01])|192\.168|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(
      address,
    );
  return isIP(address) === 6 && /^(?:::|f[cd]|fe[89ab]|64:ff9b)/i.test(address);
}

async function tokenFrom(
  response: HttpResponse,
  registry: URL,
  hasCredentials: boolean,
): Promise<Token> {
  const who = `the token service of ${registry.host}`;
  const { status } = response;
  if (status !== 200) {
    await response.discard();
    if (status !== 400 && status !== 401 && status !== 403)
      throw new LktError('NETWORK_FAILED', `${who} returned HTTP status ${status}`);
    const what = hasCredentials ? 'rejected the credentials' : 'requires credentials';
    throw new LktError('ACCESS_DENIED', `${who} ${what}`, { fix: loginFix(registry.host) });
  }
  const document = parse((await response.bytes(MAX_RESPONSE_BYTES)).toString());
  const text = [document['token'], document['access_token']].find(
    (item): item is string => typeof item === 'string' && item !== '',
  );
  if (text === undefined || /[^\x21-\x7E]/.test(text))
    throw new LktError('ACCESS_DENIED', `${who} returned no token`);
  const { expires_in: given } = document;
  const seconds = typeof given === 'number' && given > DEFAULT_SECONDS ? given : DEFAULT_SECONDS;
  return { text, expires: performance.now() + (seconds - MARGIN_SECONDS) * 1000 };
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
