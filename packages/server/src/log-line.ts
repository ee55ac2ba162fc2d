import type { IncomingMessage, ServerResponse } from 'node:http';

/** Returns a request as a line of the log, without its query, which may contain a token. */
export function logLine(
  { method, url = '' }: IncomingMessage,
  { statusCode }: ServerResponse,
): string {
  return `${statusCode} ${method} ${url.split('?', 1)[0]}`;
}
