import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, LktError } from '@lkt/core';
import type { HttpClient } from '@lkt/http';
import type { Store } from '@lkt/oci';
import { type BuildPlan, type RemoteFile, remoteFile } from '@lkt/dockerfile';
import type { BuildContext, BuildRequest } from '../engine.ts';
import { fetchSource } from './fetch-source.ts';
import { authorizationFor } from '../secrets/secrets.ts';

/** Maximum bytes that ADD downloads from an address. */
const MAX_SIZE = 16 * 2 ** 30;

/**
 * Downloads the files that a plan adds from addresses into the store, unless it has them.
 * @throws LktError DIGEST_MISMATCH at the address, and what downloading throws
 */
export async function fetchRemoteFiles(
  plan: BuildPlan,
  request: Pick<BuildRequest, 'dockerfile' | 'name' | 'secrets'>,
  around: BuildContext,
): Promise<void> {
  const files = new Map<Digest, RemoteFile>();
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    const remote = step.kind === 'add' ? remoteFile(step) : undefined;
    if (remote !== undefined && !(await around.store.keep(remote.digest)))
      files.set(remote.digest, remote);
  }
  if (files.size === 0) return;
  const { createHttpClient } = await import('@lkt/http');
  await using http = createHttpClient(around.env === undefined ? {} : { env: around.env });
  for (const remote of files.values()) await fetchFile(http, remote, request, around);
}

async function fetchFile(
  http: HttpClient,
  { source, digest }: RemoteFile,
  request: Pick<BuildRequest, 'dockerfile' | 'name' | 'secrets'>,
  around: BuildContext,
): Promise<void> {
  const { store, signal } = around;
  const { text } = source;
  const download = async (): Promise<void> => {
    const headers = await headersFor(new URL(text), request);
    const content = await http.download(text, { digest, maxSize: MAX_SIZE, headers, signal });
    await store.write(content, { digest }, signal);
    await noteDownload(store, digest, text);
  };
  await fetchSource(request.name, request.dockerfile, source, around, download, {
    DIGEST_MISMATCH: 'find out why the file changed; if the new one is right, write its checksum',
  });
}

/** @throws LktError UNSUPPORTED for credentials over a connection without TLS */
async function headersFor(
  url: URL,
  request: Pick<BuildRequest, 'secrets'>,
): Promise<Readonly<Record<string, string>>> {
  const authorization = await authorizationFor(url.hostname, request);
  if (authorization === undefined) return {};
  const { isLoopback } = await import('@lkt/http');
  if (url.protocol === 'https:' || isLoopback(url.hostname)) return { authorization };
  throw new LktError('UNSUPPORTED', `the secret for ${url.host} is not sent without TLS`, {
    fix: 'use an https address',
  });
}

/** Records the origin of a downloaded blob, for people. Nothing reads it. */
async function noteDownload(store: Store, digest: Digest, address: string): Promise<void> {
  const directory = join(store.dir, 'downloads');
  await mkdir(directory, { recursive: true });
  const { origin, pathname } = new URL(address);
  await writeFile(join(directory, digestHex(digest)), `${origin}${pathname}\n`);
}
