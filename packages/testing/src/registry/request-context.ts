import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from './responses.ts';
import type { RegistryOptions } from './options.ts';
import type { Storage } from './storage.ts';

/** A request to a repository, with its response and context. */
export interface RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly url: URL;
  /** Name of the repository. */
  readonly name: string;
  readonly storage: Storage;
  readonly options: RegistryOptions;
  /** Returns the Location for a path of this registry. */
  readonly location: (path: string) => string;
  /** Origin to which blobs are redirected. */
  readonly blobOrigin: string | undefined;
}

/**
 * Reads the body of a request.
 * @throws ApiError if it exceeds `limit` bytes
 */
export async function bodyOf(request: IncomingMessage, limit: number = 2 ** 30): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= limit) parts.push(part);
  }
  if (size > limit) throw new ApiError(413, 'SIZE_INVALID');
  return Buffer.concat(parts);
}

/** Sends content, or the requested range. Writes the body with `end`, where faults apply. */
export function sendContent(
  {
    request,
    response,
    method,
    options,
  }: Pick<RequestContext, 'method' | 'options' | 'request' | 'response'>,
  bytes: Buffer,
  headers: Record<string, string>,
): void {
  const range = options.ranges === false ? undefined : rangeOf(request, bytes.length);
  if (options.ranges !== false) headers['accept-ranges'] = 'bytes';
  const part = range === undefined ? bytes : bytes.subarray(range.start, range.end);
  if (range !== undefined)
    headers['content-range'] = `bytes ${range.start}-${range.end - 1}/${bytes.length}`;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (method !== 'HEAD' || options.headLength !== false)
    response.setHeader('content-length', part.length);
  response.statusCode = range === undefined ? 200 : 206;
  if (method === 'HEAD') response.end();
  else response.end(part);
}

/** Parses a range (RFC 9110, 14.1.2): `bytes=5-`, `bytes=5-9`, `bytes=-5`. */
function rangeOf(
  { headers }: IncomingMessage,
  size: number,
): { start: number; end: number } | undefined {
  const [all, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (all === undefined) return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1);
  if (start < end) return { start, end };
  throw new ApiError(416, 'RANGE_INVALID', { 'content-range': `bytes */${size}` });
}

/** Returns a page of a list, and the `Link` to the next one (RFC 8288). */
export function page<T>(
  { url, options, location }: RequestContext,
  items: readonly T[],
  after: (item: T) => string,
  requested: number | undefined,
): { items: readonly T[]; headers: Record<string, string> } {
  const last = url.searchParams.get('last');
  const start = last === null ? 0 : items.findIndex((item) => after(item) > last);
  const rest = start === -1 ? [] : items.slice(start);
  const size = Math.min(requested ?? Infinity, options.pageSize ?? Infinity);
  const shown = rest.slice(0, size);
  const final = shown.at(-1);
  if (final === undefined || shown.length === rest.length) return { items: shown, headers: {} };
  const next = new URL(url);
  next.searchParams.set('last', after(final));
  return {
    items: shown,
    headers: { link: `<${location(next.pathname + next.search)}>; rel="next"` },
  };
}
