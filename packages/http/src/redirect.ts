import { LktError } from '@lkt/core';
import { redactUrl } from './address.ts';
import type { HttpResponse } from './response.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Returns the target of a redirect of GET or HEAD; undefined for other responses.
 * @throws NETWORK_FAILED for an invalid target, or one with http after https
 */
export function redirectTarget(
  method: string,
  { status, url, header }: Pick<HttpResponse, 'status' | 'url' | 'header'>,
): URL | undefined {
  const location = header('location');
  if ((method !== 'GET' && method !== 'HEAD') || !REDIRECTS.has(status) || location === undefined)
    return undefined;
  if (!URL.canParse(location, url.href))
    throw new LktError('NETWORK_FAILED', `${redactUrl(url)} redirects to an invalid address`);
  const next = new URL(location, url);
  next.username = '';
  next.password = '';
  if (next.protocol === 'https:' || (next.protocol === 'http:' && url.protocol === 'http:'))
    return next;
  throw new LktError(
    'NETWORK_FAILED',
    `${redactUrl(url)} redirects to ${redactUrl(next)}, which is not https`,
  );
}

const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
]);

/** Returns headers without those that authenticate. */
export function withoutCredentials(
  headers: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CREDENTIALS.has(name)));
}
