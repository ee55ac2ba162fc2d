import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from './answer.ts';
import type { RegistryOptions } from './options.ts';
import type { Storage } from './storage.ts';

/** One request about one repository, and what is needed to answer it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly url: URL;
  /** The repository. */
  readonly name: string;
  readonly storage: Storage;
  readonly options: RegistryOptions;
  /** The address to name for a path of this registry. */
  readonly location: (path: string) => string;
  /** The origin blobs are redirected to. */
  readonly blobOrigin: string | undefined;
}

/** @throws Refusal when it is longer than `limit` */
export async function bodyOf(request: IncomingMessage, limit: number = 2 ** 30): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= limit) parts.push(part);
  }
  if (size > limit) throw new Refusal(413, 'SIZE_INVALID');
  return Buffer.concat(parts);
}

/** Sends content, or a part of it. Bodies are written by `end`, where faults are. */
export function sendContent(
  {
    request,
    response,
    method,
    options,
  }: Pick<Exchange, 'method' | 'options' | 'request' | 'response'>,
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

/** RFC 9110, 14.1.2: `bytes=5-`, `bytes=5-9`, `bytes=-5` */
function rangeOf(
  { headers }: IncomingMessage,
  size: number,
): { start: number; end: number } | undefined {
  const [all, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (all === undefined) return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1);
  if (start < end) return { start, end };
  throw new Refusal(416, 'RANGE_INVALID', { 'content-range': `bytes */${size}` });
}

/** A page of a list, and the `Link` to the next one (RFC 8288). */
export function page<T>(
  { url, options, location }: Exchange,
  items: readonly T[],
  after: (item: T) => string,
  asked: number | undefined,
): { items: readonly T[]; headers: Record<string, string> } {
  const last = url.searchParams.get('last');
  const start = last === null ? 0 : items.findIndex((item) => after(item) > last);
  const rest = start === -1 ? [] : items.slice(start);
  const size = Math.min(asked ?? Infinity, options.pageSize ?? Infinity);
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
