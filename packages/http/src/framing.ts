import { type ResponseHead, readUntil } from './head.ts';
import type { Connection } from './connection.ts';
import { broken, ConnectionError } from './connection-error.ts';

/**
 * The end of a body: after a number of bytes, after its last chunk, or with the connection (RFC
 * 9112, 6.3).
 */
export type Framing = 'chunked' | 'closed' | number;

const LINE = Buffer.from('\r\n');

/**
 * Returns the framing of a response's body.
 * @throws ConnectionError for contradictory lengths and unrequested transfer codings
 */
export function framingOf(method: string, { status, headers }: ResponseHead): Framing {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  const coding = headers.get('transfer-encoding');
  if (coding !== undefined) {
    if (coding.toLowerCase() === 'chunked') return 'chunked';
    throw broken('the response has an unsupported transfer-encoding');
  }
  const length = headers.get('content-length');
  if (length === undefined) return 'closed';
  const [first = '', ...others] = length.split(',').map((text) => text.trim());
  const size = Number(first);
  if (!/^\d+$/.test(first) || !Number.isSafeInteger(size) || others.some((one) => one !== first))
    throw broken('the response has an invalid content-length');
  return size;
}

/** Reports whether the connection can be reused after the body was read. */
export function isReusable({ headers, isHttp10 }: ResponseHead, framing: Framing): boolean {
  // With both headers, an intermediary may see another end of the body.
  if (framing === 'closed' || (framing === 'chunked' && headers.has('content-length')))
    return false;
  const options = (headers.get('connection') ?? '').toLowerCase().split(/[, \t]+/);
  return isHttp10 ? options.includes('keep-alive') : !options.includes('close');
}

/** Yields the body of a response, without reading further. */
export async function* contentOf(
  connection: Connection,
  framing: Framing,
): AsyncGenerator<Uint8Array> {
  if (framing === 'chunked') yield* chunks(connection);
  else if (framing === 'closed') yield* rest(connection);
  else yield* sized(connection, framing);
}

async function* sized(connection: Connection, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  while (left > 0) {
    const part = await connection.read();
    if (part === undefined) throw new ConnectionError('HTTP_SHORT', 'the response is incomplete');
    const own = part.length > left ? part.subarray(0, left) : part;
    connection.unread(part.subarray(own.length));
    left -= own.length;
    yield own;
  }
}

async function* rest(connection: Connection): AsyncGenerator<Uint8Array> {
  for (;;) {
    const part = await connection.read();
    if (part === undefined) return;
    yield part;
  }
}

/** Reads a chunked body (RFC 9112, 7.1). */
async function* chunks(connection: Connection): AsyncGenerator<Uint8Array> {
  for (;;) {
    const [, digits] = /^([0-9a-f]{1,13})[ \t]*(?:;.*)?$/i.exec(await line(connection)) ?? [];
    if (digits === undefined) throw broken('the response has an invalid chunk length');
    const size = Number.parseInt(digits, 16);
    if (size === 0) break;
    yield* sized(connection, size);
    if ((await line(connection)) !== '')
      throw broken('the response has a chunk longer than its length');
  }
  for (let count = 0; (await line(connection)) !== ''; count += 1)
    if (count === 100) throw broken('the response has too many trailers');
}

async function line(connection: Connection): Promise<string> {
  try {
    return await readUntil(connection, LINE);
  } catch (error) {
    if (!(error instanceof ConnectionError) || error.code !== 'HTTP_CLOSED') throw error;
    throw new ConnectionError('HTTP_SHORT', 'the response is incomplete');
  }
}
