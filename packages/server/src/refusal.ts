import type { IncomingMessage, ServerResponse } from 'node:http';
import { LktError } from '@lkt/core';

/** An answer that is an error (distribution-spec, "Error Codes"). */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** What a client is told of an error. What it could not have caused it is not told. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!(error instanceof LktError)) return new Refusal(500, 'UNKNOWN', 'an error of the server');
  const { code, message } = error;
  if (code === 'DIGEST_MISMATCH' || code === 'DIGEST_INVALID')
    return new Refusal(400, 'DIGEST_INVALID', message);
  if (code === 'IMAGE_INVALID') return new Refusal(400, 'MANIFEST_INVALID', message);
  if (code === 'REFERENCE_INVALID') return new Refusal(400, 'NAME_INVALID', message);
  if (code === 'NOT_FOUND') return new Refusal(404, 'BLOB_UNKNOWN', 'it is not in the store');
  if (code === 'DISK_FULL') return new Refusal(507, 'UNKNOWN', 'the disk of the server is full');
  return new Refusal(500, 'UNKNOWN', 'an error of the server');
}

/** How long a client may go on sending what nobody wants before the connection is broken. */
const LINGER_MS = 2000;

export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  { status, code, message, headers }: Refusal,
): void {
  if (response.headersSent) {
    // What was promised cannot be kept, and the client must see that.
    response.destroy();
    return;
  }
  const body = Buffer.from(`${JSON.stringify({ errors: [{ code, message }] })}\n`);
  const isRead = request.complete || request.method === 'GET' || request.method === 'HEAD';
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': body.length,
    'x-content-type-options': 'nosniff',
    ...(isRead ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
  if (isRead) return;
  // A connection that is closed with something unread may take the answer with it.
  request.resume();
  setTimeout(() => request.destroy(), LINGER_MS).unref();
}
