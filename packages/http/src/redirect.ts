import { LktError } from '@lkt/core';
import { readableUrl } from './address.ts';
import type { HttpResponse } from './response.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Where a response sends a request that only reads.
 * @throws LktError NETWORK_FAILED for a place that is none, or less safe than where it comes from
 */
export function nextHop(
  method: string,
  { status, url, header }: Pick<HttpResponse, 'status' | 'url' | 'header'>,
): URL | undefined {
  const location = header('location');
  if ((method !== 'GET' && method !== 'HEAD') || !REDIRECTS.has(status) || location === undefined)
    return undefined;
  if (!URL.canParse(location, url.href))
    throw new LktError('NETWORK_FAILED', `${readableUrl(url)} redirects to no address`);
  const next = new URL(location, url);
  next.username = '';
  next.password = '';
  if (next.protocol === 'https:' || (next.protocol === 'http:' && url.protocol === 'http:'))
    return next;
  throw new LktError(
    'NETWORK_FAILED',
    `${readableUrl(url)} redirects to ${readableUrl(next)}, which is not https`,
  );
}

const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
]);

export function withoutCredentials(
  headers: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CREDENTIALS.has(name)));
}
