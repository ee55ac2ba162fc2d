import { LktError } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';

/** A source of identity tokens (OpenID Connect) with the audience `sigstore`. */
export interface IdentityProvider {
  token(http: HttpClient, signal?: AbortSignal): Promise<string>;
}

const MAX_TOKEN_BYTES = 64 * 1024;

/**
 * Returns the identity of a CI job: `SIGSTORE_ID_TOKEN`, as GitLab and others set it, or else
 * GitHub's (a job with `permissions: id-token: write`). Undefined if the environment has neither.
 */
export function ciIdentity(
  env: Readonly<Record<string, string | undefined>>,
): IdentityProvider | undefined {
  const given = env['SIGSTORE_ID_TOKEN']?.trim() ?? '';
  if (given !== '') return { token: async () => given };
  const url = env['ACTIONS_ID_TOKEN_REQUEST_URL'] ?? '';
  const secret = env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? '';
  if (url === '' || secret === '') return undefined;
  return { token: async (http, signal) => gitHubToken(http, url, secret, signal) };
}

async function gitHubToken(
  http: HttpClient,
  address: string,
  secret: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && !isLoopback(url.hostname)))
    throw new LktError('CONFIG_INVALID', 'ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL');
  url.searchParams.set('audience', 'sigstore');
  const headers = { accept: 'application/json', authorization: `Bearer ${secret}` };
  const response = await http.request(url, { headers, redirect: false, signal });
  const bytes = await response.bytes(MAX_TOKEN_BYTES);
  try {
    const { value } = JSON.parse(bytes.toString()) as { value?: unknown };
    if (response.status === 200 && typeof value === 'string' && value !== '') return value;
  } catch {
    // The parser's message could quote part of a token.
  }
  throw new LktError('ACCESS_DENIED', `GitHub returned no identity token (${response.status})`, {
    fix: 'give the job `permissions: id-token: write`',
  });
}

/**
 * Returns the subject of a token, which the certificate authority names in the certificate and
 * expects signed as proof of possession.
 * @throws ACCESS_DENIED; its message does not contain the token
 */
export function tokenSubject(token: string): string {
  const claims = claimsOf(token);
  const { email, email_verified: isVerified, sub } = claims;
  if (typeof email === 'string') {
    if (isVerified === true || isVerified === 'true') return email;
    throw new LktError('ACCESS_DENIED', 'the identity token is for an unverified email address');
  }
  if (typeof sub === 'string' && sub !== '') return sub;
  throw new LktError('ACCESS_DENIED', 'the identity token has no subject');
}

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  const [, body = ''] = token.split('.');
  try {
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString());
    if (typeof claims === 'object' && claims !== null) return claims as Record<string, unknown>;
  } catch {
    // The parser's message would quote the token.
  }
  throw new LktError('ACCESS_DENIED', 'the identity token is not a JSON Web Token');
}
