import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { ByteCollector, type SpeedLimit, SpeedMeter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { ApiError } from './api-error.ts';
import type { BufferMemory } from './buffer-memory.ts';

/** One request with its environment. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly url: URL;
  readonly store: Store;
  readonly limits: Limits;
  readonly memory: BufferMemory;
}

interface Limits {
  /** Maximum bytes of a blob or Nx artifact. */
  readonly maxBlobSize: number;
  /** Accept a tag for another image. */
  readonly canMoveTags: boolean;
  /** Speed below which the body of a request is ended. */
  readonly minSpeed: SpeedLimit;
}

/**
 * Maximum bytes of a manifest, which distribution-spec ("Pushing Manifests") recommends to accept
 * and lkt clients read.
 */
export const MAX_MANIFEST_BYTES: number = 4 * 2 ** 20;

/**
 * Yields the body of a request. A reader that stops early leaves the connection open for a
 * response.
 * @throws ApiError 408 if it arrives too slowly
 */
export async function* chunksOf(
  request: IncomingMessage,
  minSpeed: SpeedLimit,
): AsyncGenerator<Buffer> {
  const meter = new SpeedMeter(minSpeed);
  let since = performance.now();
  const chunks: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
    if (!meter.isFastEnough(chunk.length, performance.now() - since)) throw tooSlow(minSpeed);
    yield chunk;
    since = performance.now();
  }
}

function tooSlow({ bytesPerSecond }: SpeedLimit): ApiError {
  const message = `the content arrives at less than ${bytesPerSecond} bytes per second`;
  return new ApiError(408, 'BLOB_UPLOAD_INVALID', message);
}

/**
 * Returns the body of a request.
 * @throws ApiError 413 if it is longer than `limit` bytes, without buffering more; 408 as
 * `chunksOf`; 429 if other requests hold too much memory
 */
export async function bodyOf(exchange: Exchange, limit: number): Promise<Buffer> {
  const { request, response, limits, memory } = exchange;
  const collector = new ByteCollector();
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLong(limit);
  for await (const part of chunksOf(request, limits.minSpeed)) {
    const size = collector.size + part.length;
    if (size > limit) throw tooLong(limit);
    memory.hold(response, size);
    collector.push(part);
  }
  return collector.bytes();
}

/** Returns the error for content over the limit. */
export function tooLong(limit: number): ApiError {
  return new ApiError(413, 'SIZE_INVALID', `the content has more than ${limit} bytes`);
}

/** Returns the error for a method that the resource does not support. */
export function notAllowed(methods: string): ApiError {
  return new ApiError(405, 'UNSUPPORTED', `allowed methods: ${methods}`, { allow: methods });
}

/**
 * Requires a method that only reads.
 * @throws ApiError 405
 */
export function requireRead({ method }: Exchange): void {
  if (method !== 'GET' && method !== 'HEAD') throw notAllowed('GET, HEAD');
}

/** Sends a response without content. */
export function sendEmpty(
  { response }: Exchange,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): void {
  const length = status === 204 ? {} : { 'content-length': 0 };
  response.writeHead(status, { ...COMMON_HEADERS, ...headers, ...length }).end();
}

/**
 * Sends bytes with status 200.
 * @throws ApiError 429 if other requests hold too much memory
 */
export function sendBytes(
  { method, response, memory }: Exchange,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
): void {
  memory.hold(response, bytes.length);
  response.writeHead(200, { ...COMMON_HEADERS, 'content-length': bytes.length, ...headers });
  response.end(method === 'HEAD' ? undefined : bytes);
}

/** Sends a JSON document with status 200. */
export function sendJson(
  exchange: Exchange,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(value));
  sendBytes(exchange, bytes, { 'content-type': 'application/json', ...headers });
}

/**
 * Streams content with status 200. Holds back the last chunk until the source has ended and thereby
 * verified itself: damaged content is never sent completely, and the client sees a broken
 * connection.
 */
export async function sendStream(
  { method, response }: Exchange,
  size: number,
  source: () => AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  response.writeHead(200, { ...COMMON_HEADERS, 'content-length': size, ...headers });
  if (method === 'HEAD') response.end();
  else await pipeline(holdBackLast(source()), response);
}

/** A part of a file: byte offsets, the end exclusive. It is empty if it is outside of the file. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Returns the single range that a request asks for (RFC 9110, 14.1.2). Other ranges are ignored,
 * which the specification allows, and those of other methods than GET.
 */
export function rangeOf({ method, headers }: IncomingMessage, size: number): ByteRange | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range ?? '') ?? [];
  if (method !== 'GET' || (from === '' && to === '')) return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1);
  return { start, end };
}

/** Sends a part of a file with status 206. */
export async function sendPart(
  response: ServerResponse,
  path: string,
  { start, end }: ByteRange,
  size: number,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  response.writeHead(206, {
    ...COMMON_HEADERS,
    ...headers,
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${size}`,
  });
  await pipeline(createReadStream(path, { start, end: end - 1 }), response);
}

/** Headers of every response. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
};

async function* holdBackLast(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: Uint8Array | undefined;
  for await (const chunk of source) {
    if (last !== undefined) yield last;
    last = chunk;
  }
  if (last !== undefined) yield last;
}
