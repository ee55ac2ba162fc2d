import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request that a server of a test received. */
export interface JsonRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  /** The body as JSON; empty without one. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** The answer of a server of a test. */
export interface JsonResponse {
  readonly status?: number;
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server on loopback that answers JSON, and records. */
export interface JsonServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: JsonRequest[];
  /** Requests that the server rejected, although nothing documents that they may fail. */
  readonly problems: string[];
  /** Loses the answers of the next calls that match, after they took effect. */
  readonly lose: (matches: (request: JsonRequest) => boolean) => void;
}

/** An answer that is an error; expected ones are part of the interface. */
export class Problem extends Error {
  readonly response: JsonResponse;
  readonly isExpected: boolean;

  constructor(response: JsonResponse, isExpected = false) {
    super(JSON.stringify(response.json));
    this.response = response;
    this.isExpected = isExpected;
  }
}

/** Starts a server. `respond` throws Problem for what the service rejects. */
export async function startJsonServer(
  respond: (request: JsonRequest) => JsonResponse,
): Promise<JsonServer> {
  const requests: JsonRequest[] = [];
  const problems: string[] = [];
  let losing: ((request: JsonRequest) => boolean) | undefined;
  const server = createServer();
  server.on('request', async (incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://server.invalid');
    const bytes = await buffer(incoming);
    const isJson = incoming.headers['content-type']?.includes('json') === true;
    const request: JsonRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      bytes,
      json: isJson && bytes.length > 0 ? (JSON.parse(bytes.toString()) as JsonRequest['json']) : {},
    };
    requests.push(request);
    let response: JsonResponse;
    try {
      response = respond(request);
    } catch (error) {
      if (!(error instanceof Problem)) {
        problems.push(`${request.method} ${request.path}: ${String(error)}`);
        outgoing.writeHead(500).end();
        return;
      }
      if (!error.isExpected) problems.push(`${request.method} ${request.path}: ${error.message}`);
      ({ response } = error);
    }
    if (losing?.(request) === true) {
      losing = undefined;
      outgoing.destroy();
      return;
    }
    const { status = 200, json, headers = {} } = response;
    const type = json === undefined ? {} : { 'content-type': 'application/json' };
    outgoing.writeHead(status, { ...type, ...headers });
    outgoing.end(json === undefined ? undefined : JSON.stringify(json));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    problems,
    lose: (matches) => {
      losing = matches;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
