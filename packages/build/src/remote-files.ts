import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Digest,
  digestHex,
  isDigest,
  LktError,
  type SourceFile,
  sourceError,
} from '@lkt/core';
import { createHttpClient, type HttpClient } from '@lkt/http';
import type { Store } from '@lkt/oci';
import type { BuildPlan, CopySource, CopyStep } from './dockerfile/steps.ts';
import type { BuildContext } from './engine.ts';

/** Most bytes that ADD takes from an address. */
const MAX_SIZE = 16 * 2 ** 30;

/** A file that ADD takes from an address. Its digest names it for good. */
export interface RemoteFile {
  readonly source: CopySource;
  readonly digest: Digest;
  /** The last part of the address, by which it is called in a directory. */
  readonly name: string;
}

/** The file an ADD of an address adds; undefined for any other step. */
export function remoteFile({ sources, checksum }: CopyStep): RemoteFile | undefined {
  const [source] = sources;
  if (source?.kind !== 'http' || checksum === undefined || !isDigest(checksum)) return undefined;
  const name = decodedName(new URL(source.text).pathname.split('/').at(-1) ?? '');
  return { source, digest: checksum, name };
}

/** As in BuildKit, what has no name is called so. */
function decodedName(part: string): string {
  let name = part;
  try {
    name = decodeURIComponent(part);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  return name === '' || name === '.' || name === '..' || /[/\0]/.test(name) ? '__unnamed__' : name;
}

/**
 * Says what is wrong with an ADD of addresses: nothing is fetched that is not known beforehand.
 * @throws LktError PIN_MISSING without a checksum, DOCKERFILE_INVALID
 */
export function checkRemote(step: CopyStep, file: SourceFile): void {
  const source = step.sources.find(({ kind }) => kind === 'http');
  if (source === undefined) return;
  const { position, length, text } = source;
  if (!URL.canParse(text))
    throw sourceError('DOCKERFILE_INVALID', file, position, `${text} is not an address`, {
      length,
    });
  if (step.sources.length + step.files.length > 1) {
    throw sourceError(
      'DOCKERFILE_INVALID',
      file,
      position,
      'ADD of an address takes no other sources, since --checksum is of one file',
      { length, fix: 'use an ADD for each' },
    );
  }
  if (step.checksum === undefined) {
    throw sourceError('PIN_MISSING', file, position, `no checksum is given for ${text}`, {
      length,
      fix: `write ADD --checksum=sha256:…; sha256sum says it: curl -fsSL '${text}' | sha256sum`,
    });
  }
}

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
