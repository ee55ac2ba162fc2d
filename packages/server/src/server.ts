import {
  createServer,
  type IncomingMessage,
  type Server as Http,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { LktError, MIN_SPEED, type SpeedLimit } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { Access, type Right, type Tokens } from './access.ts';
import { BufferMemory } from './buffer-memory.ts';
import { requireRead } from './exchange.ts';
import { listen } from './listen.ts';
import { logLine } from './log-line.ts';
import { handleNxCache } from './nx-cache.ts';
import { handleRegistry, isUpload } from './oci/registry.ts';
import { Uploads } from './oci/uploads.ts';
import { Pipelines } from './pipelines.ts';
import { ApiError, toApiError, sendApiError } from './api-error.ts';

/** Options of a server. */
export interface ServerOptions {
  readonly store: Store;
  /** An address of this machine; undefined for all. */
  readonly host: string | undefined;
  /** 0 selects a free port. */
  readonly port: number;
  readonly tokens: Tokens;
  /** PEM files; without them, the server uses http. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Accept a tag for another image. */
  readonly canMoveTags?: boolean;
  /** Maximum bytes of a blob or Nx artifact; default 64 GiB. */
  readonly maxBlobSize?: number;
  /** Milliseconds after which an idle upload is discarded; default 10 minutes. */
  readonly uploadIdleMs?: number;
  /** The minimum speed of what clients send; default 1 KiB/s over a minute. */
  readonly minSpeed?: SpeedLimit;
  /** Maximum open chunked uploads; default 256. */
  readonly maxUploads?: number;
  /** Called after each request: `200 GET /v2/…`, without headers. */
  readonly onRequest?: (line: string) => void;
  /** Called with errors of the server, as opposed to the client's. */
  readonly onError?: (error: unknown) => void;
}

/** A running server; dispose it to stop. */
export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** Timeouts in milliseconds for a silent client and for its headers. */
const IDLE_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 20_000;
const MAX_CONNECTIONS = 1024;

/**
 * Serves a store as a registry (distribution-spec) under `/v2/` and as a remote cache of Nx under
 * `/v1/cache/`. Uploads stream to disk and become visible when complete and verified. Existing
 * content is never changed, and deleted only with a token for that.
 * @throws RUN_FAILED if it cannot listen; KEY_INVALID for an invalid certificate or key
 * @example
 * ```ts
 * const tokens = { read: [], write: [token], delete: [] };
 * await using server = await startServer({ store, host: '127.0.0.1', port: 0, tokens });
 * ```
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { store, host, port, tokens, tls } = options;
  const { maxBlobSize = 64 * 2 ** 30, canMoveTags = false, minSpeed = MIN_SPEED } = options;
  const limits = { maxBlobSize, canMoveTags, minSpeed };
  const memory = new BufferMemory();
  const pipelines = new Pipelines();
  const uploads = new Uploads(store, {
    maxUploads: options.maxUploads ?? 256,
    idleMs: options.uploadIdleMs ?? 600_000,
    maxBlobSize,
  });
  const isLoopback = host !== undefined && (LOOPBACK.has(host) || host.startsWith('127.'));
  const access = new Access(tokens, isLoopback ? new Set([...LOOPBACK, host]) : undefined);

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const method = request.method ?? '';
    const url = urlOf(request);
    if ((request.headersDistinct['host']?.length ?? 0) > 1)
      throw new ApiError(400, 'UNSUPPORTED', 'the request has several host names');
    access.check(request, rightFor(method, url));
    const exchange = { request, response, method, url, store, limits, memory };
    const { pathname } = url;
    if (pathname === '/v2' || pathname.startsWith('/v2/')) {
      if (pathname === '/v2') url.pathname = '/v2/';
      await handleRegistry(exchange, uploads);
    } else if (pathname.startsWith('/v1/cache/')) {
      await handleNxCache(exchange, pathname.slice('/v1/cache/'.length));
    } else {
      requireRead(exchange);
      throw new ApiError(404, 'NOT_FOUND', 'not found');
    }
  };

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('close', () => options.onRequest?.(logLine(request, response)));
    const respond = async (): Promise<void> =>
      handle(request, response).catch((error: unknown) => {
        const isGone = request.destroyed && !request.complete;
        const isDamage = response.headersSent && error instanceof LktError;
        const apiError = toApiError(error, request.method);
        if (isDamage || (apiError.status >= 500 && !isGone && !response.headersSent))
          options.onError?.(error);
        sendApiError(request, response, apiError);
      });
    pipelines.add(request, response, respond);
  };

  const settings = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0 };
  const server =
    tls === undefined ? createServer(settings, onRequest) : withTls(tls, settings, onRequest);
  server.timeout = IDLE_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const address = await listen(server, host, port);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${address}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await uploads.endAll();
      await closed;
    },
  };
}

/** Returns the right that a request needs. Ending an upload deletes no content. */
function rightFor(method: string, { pathname }: URL): Right {
  if (method === 'GET' || method === 'HEAD') return 'read';
  return method === 'DELETE' && !isUpload(pathname) ? 'delete' : 'write';
}

type OnRequest = (request: IncomingMessage, response: ServerResponse) => void;

function withTls(
  tls: { readonly cert: string; readonly key: string },
  settings: object,
  onRequest: OnRequest,
): Http {
  try {
    return createTlsServer({ ...settings, ...tls, minVersion: 'TLSv1.2' }, onRequest);
  } catch (cause) {
    throw new LktError('KEY_INVALID', 'the certificate or key of the server is invalid', {
      cause,
      fix: 'use a certificate and its own key, both in PEM form',
    });
  }
}

/**
 * Returns the URL of a request.
 * @throws ApiError 400 for anything but a normalized path
 */
function urlOf({ url = '' }: IncomingMessage): URL {
  const path = url.replace(/\?.*$/s, '');
  if (!path.startsWith('/') || url.length > 4096 || /\/\.{0,2}\/|\/\.{1,2}$|[%\\]/.test(path))
    throw new ApiError(400, 'NAME_INVALID', 'invalid path');
  return new URL(`http://server${url}`);
}
