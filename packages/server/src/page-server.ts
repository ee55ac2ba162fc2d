import { createServer } from 'node:http';
import { Access } from './access.ts';
import { ApiError, sendApiError, toApiError } from './api-error.ts';
import { COMMON_HEADERS, notAllowed } from './exchange.ts';
import { listen } from './listen.ts';
import { logLine } from './log-line.ts';

/** A page to send. */
export interface Page {
  readonly type: string;
  readonly body: string;
  /** Seconds after which a browser loads it again. */
  readonly refresh?: number;
}

/** Options of serving pages. */
export interface PageServerOptions {
  /** An address of this machine; undefined for all. */
  readonly host: string | undefined;
  /** 0 selects a free port. */
  readonly port: number;
  /** Tokens that may read; without any, every client that reaches the server may. */
  readonly tokens: readonly string[];
  /** Returns the page of a path; undefined: not found. */
  readonly page: (path: string) => Promise<Page | undefined>;
  readonly onRequest?: (line: string) => void;
  readonly onError?: (error: unknown) => void;
}

/** Hosts without tokens, against web pages whose name resolves to this machine. */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);
const IDLE_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 256;

/**
 * Serves pages that are made for each request. Only reads: answers GET and HEAD.
 * @throws RUN_FAILED if it cannot listen
 */
export async function servePages(
  options: PageServerOptions,
): Promise<AsyncDisposable & { readonly url: string }> {
  const { host, port, tokens, page } = options;
  const isLoopback = host !== undefined && (LOOPBACK.has(host) || host.startsWith('127.'));
  const access = new Access(
    { read: tokens, write: [], delete: [] },
    isLoopback ? new Set([...LOOPBACK, host]) : undefined,
  );
  const server = createServer((request, response) => {
    response.on('close', () => options.onRequest?.(logLine(request, response)));
    const answer = async (): Promise<void> => {
      access.check(request, 'read');
      if (request.method !== 'GET' && request.method !== 'HEAD') throw notAllowed('GET, HEAD');
      const found = await page((request.url ?? '').replace(/[?#].*$/s, ''));
      if (found === undefined) throw new ApiError(404, 'NOT_FOUND', 'not found');
      const { type, body, refresh } = found;
      response.writeHead(200, {
        ...COMMON_HEADERS,
        'content-type': type,
        'content-length': Buffer.byteLength(body),
        'cache-control': 'no-store',
        ...(refresh === undefined ? {} : { refresh: String(refresh) }),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    answer().catch((error: unknown) => {
      const known = toApiError(error, request.method);
      if (known.status >= 500) options.onError?.(error);
      sendApiError(request, response, known);
    });
  });
  server.timeout = IDLE_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const address = await listen(server, host, port);
  return {
    url: `http://${address}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}
