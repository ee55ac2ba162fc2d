import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, LktError, type SourceFile, sourceError } from '@lkt/core';
import type { HttpClient } from '@lkt/http';
import type { Store } from '@lkt/oci';
import type { BuildPlan } from './dockerfile/steps.ts';
import type { BuildContext } from './engine.ts';
import { type RemoteFile, remoteFile } from './remote-file.ts';

/** Most bytes that ADD takes from an address. */
const MAX_SIZE = 16 * 2 ** 30;

/**
 * Puts the files that a plan takes from addresses into the store, where they are not.
 * @throws LktError DIGEST_MISMATCH at the address, and what downloading throws
 */
export async function fetchRemoteFiles(
  plan: BuildPlan,
  file: SourceFile,
  name: string,
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
  for (const remote of files.values()) await fetchFile(http, remote, file, name, around);
}

async function fetchFile(
  http: HttpClient,
  { source, digest }: RemoteFile,
  file: SourceFile,
  name: string,
  { store, reporter, signal }: BuildContext,
): Promise<void> {
  const { text, position, length } = source;
  const id = `${name}:${text}`;
  reporter.emit({ kind: 'start', id, title: `fetch ${text}` });
  try {
    const { content } = await http.download(text, { digest, maxSize: MAX_SIZE, signal });
    await store.write(content, { digest }, signal);
    await noteDownload(store, digest, text);
    reporter.emit({ kind: 'done', id, cached: false });
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    signal?.throwIfAborted();
    if (!(error instanceof LktError)) throw error;
    const fix =
      error.code === 'DIGEST_MISMATCH'
        ? 'find out why it has changed; if it is right, write its checksum'
        : error.fix;
    throw sourceError(error.code, file, position, error.message, {
      length,
      cause: error,
      ...(fix === undefined ? {} : { fix }),
    });
  }
}

/** Says what a blob is that no image leads to. Nothing depends on it. */
async function noteDownload(store: Store, digest: Digest, address: string): Promise<void> {
  const directory = join(store.dir, 'downloads');
  await mkdir(directory, { recursive: true });
  const { origin, pathname } = new URL(address);
  await writeFile(join(directory, digestHex(digest)), `${origin}${pathname}\n`);
}
