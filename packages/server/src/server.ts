import {
  createServer,
  type IncomingMessage,
  type Server as Http,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isErrno, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { Access, type Tokens } from './access.ts';
import { notAllowed } from './exchange.ts';
import { answerNx } from './nx-cache.ts';
import { answerRegistry } from './oci/registry.ts';
import { Uploads } from './oci/uploads.ts';
import { Refusal, refusalOf, sendRefusal } from './refusal.ts';

export interface ServerOptions {
  readonly store: Store;
  /** An address of this machine; undefined for all. */
  readonly host: string | undefined;
  /** 0 for any that is free. */
  readonly port: number;
  readonly tokens: Tokens;
  /** PEM; without it, it is http. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Whether a tag may be made to stand for another image. */
  readonly movesTags?: boolean;
  /** Of blobs and of artifacts of Nx, in bytes; default 64 GiB. */
  readonly blobSize?: number;
  /** Milliseconds after which an upload that nobody goes on with is given up; default 10 minutes. */
  readonly uploadIdle?: number;
  /** Uploads in pieces that are open at once; default 256. */
  readonly uploadCount?: number;
  /** Told of each request that has ended: `200 GET /v2/…`, without any header. */
  readonly onRequest?: (line: string) => void;
  /** Told of errors that are of the server, and not of who asked. */
  readonly onError?: (error: unknown) => void;
}

export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** A client that says nothing for this long is not waited for. */
const SILENCE_MS = 60_000;
const HEADERS_MS = 20_000;
const CONNECTIONS = 1024;

/**
 * Serves a store: as a registry (distribution-spec) under `/v2/`, and as a remote cache of Nx under `/v1/cache/`. What comes
 * in is written as it comes, and is there when it is whole and what it should be. Nothing that is there is changed.
 * @throws LktError RUN_FAILED when it cannot listen there, KEY_INVALID for a certificate or key that is none
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { store, host, port, tokens, tls } = options;
  const limits = { blobSize: options.blobSize ?? 64 * 2 ** 30 };
  const uploads = new Uploads(store, {
    count: options.uploadCount ?? 256,
    idle: options.uploadIdle ?? 600_000,
    ...limits,
  });
  const isLoopback = host !== undefined && (LOOPBACK.has(host) || host.startsWith('127.'));
  const access = new Access(tokens, isLoopback ? new Set([...LOOPBACK, host]) : undefined);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const method = request.method ?? '';
    const url = urlOf(request);
    access.check(request, method !== 'GET' && method !== 'HEAD');
    const exchange = { request, response, method, url, store, limits };
    const { pathname } = url;
    if (pathname === '/v2' || pathname.startsWith('/v2/')) {
      if (pathname === '/v2') url.pathname = '/v2/';
      await answerRegistry(exchange, uploads, options.movesTags === true);
    } else if (pathname.startsWith('/v1/cache/')) {
      await answerNx(exchange, pathname.slice('/v1/cache/'.length));
    } else if (method !== 'GET' && method !== 'HEAD') {
      throw notAllowed('GET, HEAD');
    } else {
      throw new Refusal(404, 'NOT_FOUND', 'there is nothing here');
    }
  };

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('close', () =>
      options.onRequest?.(`${response.statusCode} ${request.method} ${request.url}`),
    );
    answer(request, response).catch((error: unknown) => {
      const isGone = request.destroyed && !request.complete;
      const isDamage = response.headersSent && error instanceof LktError;
      const refusal = refusalOf(error);
      if (isDamage || (refusal.status >= 500 && !isGone && !response.headersSent))
        options.onError?.(error);
      sendRefusal(request, response, refusal);
    });
  };

  const settings = { headersTimeout: HEADERS_MS, requestTimeout: 0 };
  const server =
    tls === undefined ? createServer(settings, onRequest) : withTls(tls, settings, onRequest);
  server.timeout = SILENCE_MS;
  server.maxConnections = CONNECTIONS;
  await listen(server, host, port);
  const bound = server.address() as AddressInfo;
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${name}:${bound.port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await uploads.endAll();
      await closed;
    },
  };
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
    throw new LktError('KEY_INVALID', 'the certificate and the key of the server do not do', {
      cause,
      fix: 'name PEM files that belong together',
    });
  }
}

async function listen(server: Http, host: string | undefined, port: number): Promise<void> {
  await new Promise<void>((listening, failed) => {
    server.once('error', (error) =>
      failed(
        isErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND')
          ? new LktError('RUN_FAILED', `cannot listen on ${host ?? ''}:${port}`, { cause: error })
          : error,
      ),
    );
    server.listen(port, host, listening);
  });
}

/** @throws Refusal for what is no path, or says the same in another way than everybody else */
function urlOf({ url = '' }: IncomingMessage): URL {
  const path = url.replace(/\?.*$/s, '');
  if (!path.startsWith('/') || url.length > 4096 || /\/\.{0,2}\/|\/\.{1,2}$|[%\\]/.test(path))
    throw new Refusal(400, 'NAME_INVALID', 'that is no path');
  return new URL(`http://server${url}`);
}
