import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  createReadStream,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
  closeSync,
  openSync,
  readFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authority } from './authority.ts';
import { listen } from './local-server.ts';
import type { LoggedRequest } from './registry/logged-request.ts';
import { startTokenService } from './token-service.ts';

/** Configuration of Debian's docker-registry. */
export interface DockerRegistryOptions {
  readonly tls?: Authority;
  /** htpasswd, or signed tokens of a token service. */
  readonly auth?: 'basic' | 'token';
  readonly users?: Readonly<Record<string, string>>;
  /** Whether blobs are redirected to another origin. */
  readonly redirectBlobs?: boolean;
  /** URL of the registry that this one mirrors. */
  readonly proxyOf?: string;
}

/** A docker-registry process on 127.0.0.1. */
export interface DockerRegistry extends AsyncDisposable {
  readonly host: string;
  readonly url: string;
  /** Data directory. Files removed there are gone from the registry. */
  readonly storage: string;
  /** Requests to the token service and to the redirected storage. */
  readonly requests: readonly LoggedRequest[];
}

/** Starts docker-registry; basic authentication also needs htpasswd. */
export async function startDockerRegistry(
  options: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  const { tls, auth, users = {}, redirectBlobs, proxyOf } = options;
  const directory = mkdtempSync(join(tmpdir(), 'lkt-docker-registry-'));
  const requests: LoggedRequest[] = [];
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  // A port that is free after its server was closed.
  const free = await listen(createServer());
  await free[Symbol.asyncDispose]();
  const { port } = free;
  const config: Record<string, unknown> = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(tls === undefined ? {} : { tls: { certificate: tls.certFile, key: tls.keyFile } }),
    },
  };
  if (auth === 'basic') {
    const path = join(directory, 'htpasswd');
    const lines = Object.entries(users).map(([name, password]) =>
      execFileSync('htpasswd', ['-Bbn', name, password], { encoding: 'utf8' }).trim(),
    );
    writeFileSync(path, `${lines.join('\n')}\n`);
    config['auth'] = { htpasswd: { realm: 'test', path } };
  }
  if (auth === 'token') {
    const service = cleanup.use(await startTokenService(directory, users, requests));
    const { url: realm, certFile: rootcertbundle } = service;
    config['auth'] = { token: { realm, service: 'test', issuer: 'lkt-test', rootcertbundle } };
  }
  if (redirectBlobs === true) {
    const storage = cleanup.use(await serveFiles(join(directory, 'data'), requests));
    config['middleware'] = { storage: [{ name: 'redirect', options: { baseurl: storage.url } }] };
  }
  if (proxyOf !== undefined) config['proxy'] = { remoteurl: proxyOf };
  const file = join(directory, 'config.yml');
  // JSON is valid YAML.
  writeFileSync(file, JSON.stringify(config));
  // Log to a file: a pipe would fill up while the test does not read it.
  const log = join(directory, 'log');
  const descriptor = openSync(log, 'w');
  const child = spawn('docker-registry', ['serve', file], {
    stdio: ['ignore', descriptor, descriptor],
  });
  closeSync(descriptor);
  cleanup.defer(async () => stop(child));
  await untilReady(child, port, log);
  const owned = cleanup.move();
  const scheme = tls === undefined ? 'http' : 'https';
  return {
    host: `127.0.0.1:${port}`,
    url: `${scheme}://127.0.0.1:${port}`,
    storage: join(directory, 'data'),
    requests,
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.kill();
  await closed;
}

async function untilReady(child: ChildProcess, port: number, log: string): Promise<void> {
  let failure: unknown;
  child.on('error', (error) => (failure = error));
  for (let tries = 0; tries < 600; tries += 1) {
    if (failure !== undefined || child.exitCode !== null)
      throw new Error(`docker-registry failed to start: ${readFileSync(log, 'utf8')}`, {
        cause: failure,
      });
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    // An https registry answers http with an error, which suffices.
    if (answer !== undefined) return;
    await delay(50);
  }
  throw new Error(`docker-registry does not respond: ${readFileSync(log, 'utf8')}`);
}

/** Serves files as cloud storage does: it rejects an authorization header. */
async function serveFiles(
  root: string,
  requests: LoggedRequest[],
): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    requests.push({ server: 'storage', method, path: url, headers });
    const path = join(root, new URL(url, 'http://x').pathname);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) response.writeHead(404).end();
    else if (headers.authorization === undefined) {
      response.writeHead(200, { 'content-length': size });
      if (method === 'HEAD') response.end();
      else createReadStream(path).pipe(response);
    } else response.writeHead(400).end();
  });
  const { port, [Symbol.asyncDispose]: close } = await listen(server);
  return { url: `http://127.0.0.1:${port}/`, [Symbol.asyncDispose]: close };
}
