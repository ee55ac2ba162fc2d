import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { listen } from '../local-server.ts';
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

/** Starts a registry. Disposing stops it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const registry = new TestRegistry(options);
  await registry.listen();
  return registry;
}

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>;

/** A complete in-memory registry of the OCI distribution-spec, in this process, on 127.0.0.1. */
export class TestRegistry implements AsyncDisposable {
  readonly storage: Storage = new Storage();
  /** Received requests, in order. */
  readonly requests: LoggedRequest[] = [];
  readonly #options: RegistryOptions;
  readonly #faults = new Faults();
  readonly #servers = new AsyncDisposableStack();
  #authorizer: Authorizer | undefined;
  #blobOrigin: string | undefined;
  url = '';

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return new URL(this.url).host;
  }

  /** Makes matching requests fail. */
  fault(matcher: RequestMatcher, fault: Fault): void {
    this.#faults.plan(matcher, fault);
  }

  async listen(): Promise<void> {
    const { auth, redirectBlobs } = this.#options;
    this.url = await this.#open(this.#handle.bind(this));
    if (auth !== undefined) this.#authorizer = new Authorizer(auth, this.url);
    if (redirectBlobs === true) this.#blobOrigin = await this.#open(this.#handleStorage.bind(this));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#servers.disposeAsync();
  }

  /** Starts a server and returns its URL. */
  async #open(handle: Handler): Promise<string> {
    const { tls } = this.#options;
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response, handle);
    const server = tls === undefined ? createServer(answer) : createSecureServer(tls, answer);
    const { port } = this.#servers.use(await listen(server));
    return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse, handle: Handler): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = request;
    const url = new URL(path, this.url);
    const server = url.pathname.startsWith('/storage/')
      ? 'storage'
      : url.pathname === '/token'
        ? 'token'
        : 'registry';
    this.requests.push({ server, method, path, headers, port: request.socket.remotePort });
    request.on('error', () => undefined);
    const fault = this.#faults.next(method, path);
    if (fault !== undefined && applyFault(fault, request, response)) return;
    const { warning } = this.#options;
    if (warning !== undefined) response.setHeader('warning', `299 - "${warning}"`);
    try {
      await handle(request, response, url);
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
