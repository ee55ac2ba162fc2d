import { LktError } from '@lkt/core';
import { createHttpClient } from '@lkt/http';
import { resolveAddress } from '../endpoint.ts';
import type { RegistryOptions } from '../options.ts';
import { Authorizer } from './authorizer.ts';
import { loginFix } from './token-service.ts';

/**
 * Asks a registry whether it accepts a password, as the distribution-spec's "Determining Support"
 * describes: its base address requires what its repositories require.
 * @param domain as in references: `docker.io`, `registry.example:5000`
 * @returns false if the registry asks for no password there, so nothing was checked
 * @throws ACCESS_DENIED if it rejects the password; NETWORK_FAILED
 */
export async function checkLogin(
  domain: string,
  login: { readonly username: string; readonly password: string },
  options: RegistryOptions = {},
  signal?: AbortSignal,
): Promise<boolean> {
  await using http = createHttpClient({ ...options, userAgent: options.userAgent ?? 'lkt' });
  const base = new URL(await resolveAddress(domain, http, options));
  const authorizer = new Authorizer(http, base, async () => ({ kind: 'password', ...login }));
  let authorization: string | undefined;
  for (;;) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const response = await http.request(`${base.origin}/v2/`, { headers, redirect: false, signal });
    const challenge = response.header('www-authenticate');
    await response.discard();
    if (response.status >= 200 && response.status < 300) return authorization !== undefined;
    if (response.status !== 401 && response.status !== 403)
      throw new LktError(
        'NETWORK_FAILED',
        `${domain} answers HTTP status ${response.status}, so it is not an OCI registry`,
      );
    const isAnswered =
      authorization === undefined &&
      challenge !== undefined &&
      (await authorizer.handleChallenge(challenge, '', [], undefined));
    if (!isAnswered) throw rejected(domain);
    try {
      authorization = await authorizer.header('', [], signal);
    } catch (error) {
      const isRejection = error instanceof LktError && error.fix === loginFix(base.host);
      throw isRejection ? rejected(domain) : error;
    }
  }
}

function rejected(domain: string): LktError {
  return new LktError('ACCESS_DENIED', `${domain} rejected the user name or password`, {
    fix: 'correct them; many registries want an access token instead of the password',
  });
}
