import { LktError } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';

/** Gets an identity token (OpenID Connect) for the audience `sigstore`. */
export interface IdentityProvider {
  token(http: HttpClient, signal?: AbortSignal): Promise<string>;
}

const MAX_TOKEN = 64 * 1024;

/**
 * The identity of a CI job: `SIGSTORE_ID_TOKEN`, as GitLab and others set it, else GitHub's (a job with
 * `permissions: id-token: write`). Undefined where there is none.
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
    throw new LktError('CONFIG_INVALID', 'ACTIONS_ID_TOKEN_REQUEST_URL is no address of https');
  url.searchParams.set('audience', 'sigstore');
  const headers = { accept: 'application/json', authorization: `Bearer ${secret}` };
  const response = await http.request(url, { headers, redirect: false, signal });
  const bytes = await response.bytes(MAX_TOKEN);
  try {
    const { value } = JSON.parse(bytes.toString()) as { value?: unknown };
    if (response.status === 200 && typeof value === 'string' && value !== '') return value;
  } catch {
    // What it is may be half of a token.
  }
  throw new LktError('ACCESS_DENIED', `GitHub gives no identity token (${response.status})`, {
    fix: 'give the job `permissions: id-token: write`',
  });
}

/**
 * What a certificate authority takes from the token for the name of the signer, and wants signed as a proof.
 * @throws LktError ACCESS_DENIED, without a word of the token
 */
export function tokenSubject(token: string): string {
  const claims = claimsOf(token);
  const { email, email_verified: isVerified, sub } = claims;
  if (typeof email === 'string') {
    if (isVerified === true || isVerified === 'true') return email;
    throw new LktError('ACCESS_DENIED', 'the identity token is for an unverified email address');
  }
  if (typeof sub === 'string' && sub !== '') return sub;
  throw new LktError('ACCESS_DENIED', 'the identity token names nobody');
}

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  const [, body = ''] = token.split('.');
  try {
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString());
    if (typeof claims === 'object' && claims !== null) return claims as Record<string, unknown>;
  } catch {
    // The message of the parser would quote the token.
  }
  throw new LktError('ACCESS_DENIED', 'the identity token is not a JSON Web Token');
}
