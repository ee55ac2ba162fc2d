import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ApiError, sendError } from './responses.ts';
import { Authorizer } from './authorizer.ts';
import { handleBlob, handleUpload } from './blobs.ts';
import { type RequestContext, sendContent } from './request-context.ts';
import { applyFault, type Fault, Faults, type RequestMatcher } from './faults.ts';
import { handleReferrers, handleTags } from './lists.ts';
import type { LoggedRequest } from './logged-request.ts';
import { handleManifest } from './manifests.ts';
import type { RegistryOptions } from './options.ts';
import { Storage } from './storage.ts';

/** A complete in-memory registry of the OCI distribution-spec, in this process, on 127.0.0.1. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  readonly storage: Storage;
  /** Received requests, in order. */
  readonly requests: readonly LoggedRequest[];
  /** Makes matching requests fail. */
  fault(matcher: RequestMatcher, fault: Fault): void;
}

/** Starts a registry. Disposing stops it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const registry = new Registry(options);
  await registry.listen();
  return registry;
}

class Registry implements TestRegistry {
  readonly storage: Storage = new Storage();
  readonly requests: LoggedRequest[] = [];
  readonly #options: RegistryOptions;
  readonly #faults = new Faults();
  readonly #servers: Server[] = [];
  #authorizer: Authorizer | undefined;
  #blobOrigin: string | undefined;
  url = '';

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get host(): string {
    return new URL(this.url).host;
  }

  fault(matcher: RequestMatcher, fault: Fault): void {
    this.#faults.plan(matcher, fault);
  }

  async listen(): Promise<void> {
    const { tls, auth, redirectBlobs } = this.#options;
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response, this.#handle.bind(this));
    const scheme = tls === undefined ? 'http' : 'https';
    const server = tls === undefined ? createServer(answer) : createSecureServer(tls, answer);
    this.url = `${scheme}://127.0.0.1:${await this.#open(server)}`;
    if (auth !== undefined) this.#authorizer = new Authorizer(auth, this.url);
    if (redirectBlobs !== true) return;
    const fromStorage = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response, this.#handleStorage.bind(this));
    const storage =
      tls === undefined ? createServer(fromStorage) : createSecureServer(tls, fromStorage);
    this.#blobOrigin = `${scheme}://127.0.0.1:${await this.#open(storage)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #open(server: Server): Promise<number> {
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    answer: (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>,
  ): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = request;
    const url = new URL(path, this.url);
    const server = url.pathname.startsWith('/storage/')
      ? 'storage'
      : url.pathname === '/token'
        ? 'token'
        : 'registry';
    this.requests.push({ server, method, path, headers });
    request.on('error', () => undefined);
    const fault = this.#faults.next(method, path);
    if (fault !== undefined && applyFault(fault, request, response)) return;
    const { warning } = this.#options;
    if (warning !== undefined) response.setHeader('warning', `299 - "${warning}"`);
    try {
      await answer(request, response, url);
    } catch (error) {
      request.resume();
      if (request.socket.destroyed) return;
      const apiError = error instanceof ApiError ? error : new ApiError(500, 'UNKNOWN');
      sendError(response, apiError, method === 'HEAD');
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { method = 'GET' } = request;
    if (url.pathname === '/token' && this.#authorizer !== undefined) {
      await this.#authorizer.handleToken(request, response, url);
      return;
    }
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    if (url.pathname === '/v2/' || url.pathname === '/v2') {
      this.#authorizer?.check(request, undefined, 'pull');
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      return;
    }
    const path = /^\/v2\/(.+)\/(manifests|blobs|blobs\/uploads|tags|referrers)\/([^/]*)$/.exec(
      decodeURIComponent(url.pathname),
    );
    const [, name = '', kind, item = ''] = path ?? [];
    if (path === null) throw new ApiError(404, 'UNSUPPORTED');
    if (!NAME.test(name)) throw new ApiError(400, 'NAME_INVALID');
    this.#authorizer?.check(request, name, actionOf(method));
    const context: RequestContext = {
      request,
      response,
      method,
      url,
      name,
      storage: this.storage,
      options: this.#options,
      location: (target) => (this.#options.relativeLocations === true ? target : this.url + target),
      blobOrigin: this.#blobOrigin,
    };
    if (kind === 'manifests') await handleManifest(context, item);
    else if (kind === 'blobs' && item !== 'uploads') handleBlob(context, item);
    else if (kind === 'tags' && item === 'list') handleTags(context);
    else if (kind === 'referrers') handleReferrers(context, item);
    else if (kind === 'blobs/uploads') await handleUpload(context, item);
    else if (kind === 'blobs') await handleUpload(context, '');
    else throw new ApiError(404, 'UNSUPPORTED');
  }

  async #handleStorage(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
  ): Promise<void> {
    const [, name = '', digest = ''] = /^\/storage\/(.+)\/([^/]+)$/.exec(url.pathname) ?? [];
    const bytes = this.storage.repositories.get(name)?.blobs.get(digest);
    // As in cloud storage: a signed URL must not come with a second authorization.
    if (request.headers.authorization !== undefined) throw new ApiError(400, 'DENIED');
    if (bytes === undefined || url.searchParams.get('signature') === null)
      throw new ApiError(403, 'DENIED');
    const { method = 'GET' } = request;
    sendContent({ request, response, method, options: this.#options }, bytes, {});
  }
}

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

function actionOf(method: string): 'delete' | 'pull' | 'push' {
  if (method === 'GET' || method === 'HEAD') return 'pull';
  return method === 'DELETE' ? 'delete' : 'push';
}
