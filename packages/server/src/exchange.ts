import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Store } from '@lkt/oci';
import { Refusal } from './refusal.ts';

/** One request, and what is needed to answer it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly url: URL;
  readonly store: Store;
  readonly limits: Limits;
}

interface Limits {
  /** Of a blob and of an artifact of Nx, in bytes. */
  readonly blobSize: number;
}

/** distribution-spec, "Pushing Manifests": registries should take this much, and lkt reads no more. */
export const MANIFEST_SIZE: number = 4 * 2 ** 20;

/** What a client sends. Who stops reading leaves the connection as it is, so that there can be an answer. */
export function chunksOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false });
}

/** @throws Refusal when it is longer than `limit`, before more of it is in memory */
export async function bodyOf(request: IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLong(limit);
  for await (const part of chunksOf(request)) {
    size += part.length;
    if (size > limit) throw tooLong(limit);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

export function tooLong(limit: number): Refusal {
  return new Refusal(413, 'SIZE_INVALID', `it has more than ${limit} bytes`);
}

export function notAllowed(methods: string): Refusal {
  return new Refusal(405, 'UNSUPPORTED', `only ${methods}`, { allow: methods });
}

/** Sends bytes that are in memory. */
export function sendBytes(
  { method, response }: Exchange,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(200, { ...COMMON, 'content-length': bytes.length, ...headers });
  response.end(method === 'HEAD' ? undefined : bytes);
}

export function sendJson(
  exchange: Exchange,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(value));
  sendBytes(exchange, bytes, { 'content-type': 'application/json', ...headers });
}

/**
 * Sends content as it is read. Its last chunk is held back until the source has come to its end, where it is checked: what
 * turns out to be damaged is never all there, and the client sees the connection break.
 */
export async function sendStream(
  { method, response }: Exchange,
  size: number,
  source: () => AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  response.writeHead(200, { ...COMMON, 'content-length': size, ...headers });
  if (method === 'HEAD') response.end();
  else await pipeline(heldBack(source()), response);
}

export const COMMON: Readonly<Record<string, string>> = { 'x-content-type-options': 'nosniff' };

async function* heldBack(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: Uint8Array | undefined;
  for await (const chunk of source) {
    if (last !== undefined) yield last;
    last = chunk;
  }
  if (last !== undefined) yield last;
}
