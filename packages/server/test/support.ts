import { execFile, type ExecFileOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { digestOf } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { type ServerOptions, startServer } from '../src/server.ts';

export const run: (
  file: string,
  args: readonly string[],
  options?: ExecFileOptions,
) => Promise<{ stdout: string; stderr: string }> = promisify(execFile) as never;

/** Tokens for reading and writing, and for reading. */
export const WRITE: string = randomBytes(24).toString('hex');
export const READ: string = randomBytes(24).toString('hex');
/** A token for deleting too. */
export const DELETE: string = randomBytes(24).toString('hex');

export interface Served extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly store: Store;
  /** A directory beside the store. */
  readonly dir: string;
  readonly errors: unknown[];
  readonly lines: string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** Starts a server over an empty store, by default without tokens. */
export async function serve(options: Partial<ServerOptions> = {}): Promise<Served> {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-server-')));
  const store = options.store ?? (await openStore(join(dir.path, 'store')));
  const errors: unknown[] = [];
  const lines: string[] = [];
  const server = stack.use(
    await startServer({
      store,
      host: '127.0.0.1',
      port: 0,
      tokens: { read: [], write: [], delete: [] },
      onError: (error) => void errors.push(error),
      onRequest: (line) => void lines.push(line),
      ...options,
    }),
  );
  return {
    url: server.url,
    host: new URL(server.url).host,
    store,
    dir: dir.path,
    errors,
    lines,
    fetch: async (path, init) => fetch(`${server.url}${path}`, init),
    [Symbol.asyncDispose]: async () => stack.disposeAsync(),
  };
}

/** Pushes a blob as most clients do. */
export async function pushBlob(served: Served, name: string, text: string): Promise<string> {
  const started = await served.fetch(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
  const location = started.headers.get('location') ?? '';
  const digest = digestOf(text);
  const put = await served.fetch(`${location}?digest=${digest}`, { method: 'PUT', body: text });
  if (put.status !== 201) throw new Error(`${put.status} ${await put.text()}`);
  return digest;
}

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';

/** Pushes the blobs of an image with a text as its only layer, and returns the manifest. */
export async function pushContent(
  served: Served,
  name: string,
  text: string,
  more: object = {},
): Promise<string> {
  const config = await pushBlob(served, name, '{}');
  const layer = await pushBlob(served, name, text);
  const type = 'application/vnd.oci.image.config.v1+json';
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: type, digest: config, size: 2 },
    layers: [{ mediaType: 'text/plain', digest: layer, size: Buffer.byteLength(text) }],
    ...more,
  });
}

export async function putManifest(
  served: Served,
  name: string,
  reference: string,
  manifest: string,
  type: string = MANIFEST,
): Promise<Response> {
  return served.fetch(`/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': type },
    body: manifest,
  });
}

/** Returns status and codes of an error response. */
export async function errorOf(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  return `${response.status} ${errors.map(({ code }) => code).join(' ')}`;
}
