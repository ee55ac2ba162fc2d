import type { ServerResponse } from 'node:http';

/** An error response (distribution-spec, "Error Codes"). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, headers: Readonly<Record<string, string>> = {}) {
    super(code);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** Sends an error response. */
export function sendError(
  response: ServerResponse,
  { status, code, headers }: ApiError,
  isHead: boolean,
): void {
  const message = code.toLowerCase().replaceAll('_', ' ');
  const body = Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': body.length,
  });
  if (isHead) response.end();
  else response.end(body);
}

/** Sends a JSON document with status 200. */
export function sendJson(
  response: ServerResponse,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': body.length,
    ...headers,
  });
  response.end(body);
}
