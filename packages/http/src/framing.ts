import { type Head, readTo } from './head.ts';
import type { Wire } from './wire.ts';
import { WireError } from './wire-error.ts';

/** Where a body ends: after so many bytes, where its chunks say so, or with the connection (RFC 9112, 6.3). */
export type Framing = 'chunked' | 'closed' | number;

const LINE = Buffer.from('\r\n');

/** @throws WireError for lengths that contradict each other, and codings that were not asked for */
export function framingOf(method: string, { status, headers }: Head): Framing {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  const coding = headers.get('transfer-encoding');
  if (coding !== undefined) {
    if (coding.toLowerCase() === 'chunked') return 'chunked';
    throw broken('the answer comes in a coding that was not asked for');
  }
  const length = headers.get('content-length');
  if (length === undefined) return 'closed';
  const [first = '', ...others] = length.split(',').map((text) => text.trim());
  const size = Number(first);
  if (!/^\d+$/.test(first) || !Number.isSafeInteger(size) || others.some((one) => one !== first))
    throw broken('the length of the answer is none');
  return size;
}

/** Whether the connection can serve again after an answer that was read to its end. */
export function isKept({ headers, isOld }: Head, framing: Framing): boolean {
  // With both, someone between here and there may see another end of it.
  if (framing === 'closed' || (framing === 'chunked' && headers.has('content-length')))
    return false;
  const options = (headers.get('connection') ?? '').toLowerCase().split(/[, \t]+/);
  return isOld ? options.includes('keep-alive') : !options.includes('close');
}

/** The body of an answer, and not a byte more. */
export async function* contentOf(wire: Wire, framing: Framing): AsyncGenerator<Uint8Array> {
  if (framing === 'chunked') yield* chunks(wire);
  else if (framing === 'closed') yield* rest(wire);
  else yield* sized(wire, framing);
}

async function* sized(wire: Wire, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  while (left > 0) {
    const part = await wire.read();
    if (part === undefined) throw new WireError('HTTP_SHORT', 'the answer is too short');
    const own = part.length > left ? part.subarray(0, left) : part;
    wire.unread(part.subarray(own.length));
    left -= own.length;
    yield own;
  }
}

async function* rest(wire: Wire): AsyncGenerator<Uint8Array> {
  for (;;) {
    const part = await wire.read();
    if (part === undefined) return;
    yield part;
  }
}

/** RFC 9112, 7.1 */
async function* chunks(wire: Wire): AsyncGenerator<Uint8Array> {
  for (;;) {
    const [, digits] = /^([0-9a-f]{1,13})[ \t]*(?:;.*)?$/i.exec(await line(wire)) ?? [];
    if (digits === undefined) throw broken('the length of a part of the answer is none');
    const size = Number.parseInt(digits, 16);
    if (size === 0) break;
    yield* sized(wire, size);
    if ((await line(wire)) !== '') throw broken('a part of the answer is longer than it says');
  }
  for (let count = 0; (await line(wire)) !== ''; count += 1)
    if (count === 100) throw broken('the answer has no end');
}

async function line(wire: Wire): Promise<string> {
  try {
    return await readTo(wire, LINE);
  } catch (error) {
    if (!(error instanceof WireError) || error.code !== 'HTTP_CLOSED') throw error;
    throw new WireError('HTTP_SHORT', 'the answer is too short');
  }
}

function broken(message: string): WireError {
  return new WireError('HTTP_BROKEN', message);
}
