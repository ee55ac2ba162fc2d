import type { IncomingMessage, ServerResponse } from 'node:http';
import { LktError } from '@lkt/core';

/** An error response (distribution-spec, "Error Codes"). */
export class ApiError extends Error {
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

/**
 * Returns the response for an error of a request. Details go to the client only if its request
 * caused the error: what a GET finds invalid is in the store.
 */
export function toApiError(error: unknown, method: string | undefined): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof LktError)) return new ApiError(500, 'UNKNOWN', 'internal error');
  const { code, message } = error;
  const isRead = method === 'GET' || method === 'HEAD';
  if (code === 'DIGEST_INVALID' || (code === 'DIGEST_MISMATCH' && !isRead))
    return new ApiError(400, 'DIGEST_INVALID', message);
  if (code === 'REFERENCE_INVALID') return new ApiError(400, 'NAME_INVALID', message);
  if (code === 'NOT_FOUND') return new ApiError(404, 'BLOB_UNKNOWN', 'blob not found');
  if (code === 'DISK_FULL') return new ApiError(507, 'UNKNOWN', 'the disk of the server is full');
  return new ApiError(500, 'UNKNOWN', 'internal error');
}

/**
 * How long the rest of a rejected body may arrive before the connection is closed; in milliseconds.
 */
const LINGER_MS = 2000;

/** Sends an error response, or closes the connection if the response has begun. */
export function sendApiError(
  request: IncomingMessage,
  response: ServerResponse,
  { status, code, message, headers }: ApiError,
): void {
  if (response.headersSent) {
    // The announced content cannot be completed, so the client must see a broken connection.
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
  // Closing a connection with unread data may drop the response.
  request.resume();
  setTimeout(() => request.destroy(), LINGER_MS).unref();
}
