import { type Digest, LktError } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';
import { inTurn } from './in-turn.ts';
import type { Remote } from './remote.ts';
import { sendBlob, type SendOptions, type UploadSource } from './send-blob.ts';
import { cancelUpload, sessionFrom, startUpload, type UploadSession } from './upload-session.ts';

export interface UploadOptions extends SendOptions {
  /** Repositories of the same registry that may have the blob. */
  readonly mountFrom?: readonly string[] | undefined;
}

export type Uploaded = 'mounted' | 'present' | 'uploaded';

/**
 * Brings a blob into a repository: not at all if it is there, from another repository if the registry can, else by
 * sending it. What breaks goes on where the registry says it broke.
 *
 * The same blob is brought once however many ask for it: while it comes a second time, docker-registry may say that it
 * is not there.
 * @throws LktError ACCESS_DENIED, DIGEST_MISMATCH (of the source), NETWORK_FAILED
 */
export async function uploadBlob(
  remote: Remote,
  source: UploadSource,
  options: UploadOptions,
): Promise<Uploaded> {
  return inTurn(`push ${remote.url(`blobs/${source.digest}`).href}`, async () =>
    bring(remote, source, options),
  );
}

async function bring(
  remote: Remote,
  source: UploadSource,
  options: UploadOptions,
): Promise<Uploaded> {
  const { mountFrom = [], signal } = options;
  if (await hasBlob(remote, source.digest, signal)) return 'present';
  let session: UploadSession | undefined;
  for (const from of mountFrom) {
    const answer = await tryMount(remote, source, from, signal);
    if (answer === undefined) continue;
    // Of the uploads that registries begin instead, one is enough, or none.
    if (session !== undefined) await cancelUpload(remote, session);
    if (answer === 'mounted') return 'mounted';
    session = answer;
  }
  session ??= await startUpload(remote, source.digest, signal);
  await sendBlob(remote, source, options, session);
  return 'uploaded';
}

/** Whether a repository has a blob. */
async function hasBlob(
  remote: Remote,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const response = await remote.request(remote.url(`blobs/${digest}`), {
    action: 'pull',
    method: 'HEAD',
    signal,
  });
  await response.discard();
  return response.status === 200;
}

/** Mounts the blob; or gets an upload instead, as registries do that cannot; or neither. */
async function tryMount(
  remote: Remote,
  { digest }: UploadSource,
  from: string,
  signal: AbortSignal | undefined,
): Promise<UploadSession | 'mounted' | undefined> {
  const url = remote.url('blobs/uploads/');
  url.searchParams.set('mount', digest);
  url.searchParams.set('from', from);
  let response: HttpResponse;
  try {
    response = await remote.request(url, {
      action: 'push',
      from: [from],
      method: 'POST',
      headers: { 'content-length': '0' },
      signal,
    });
  } catch (error) {
    // There are token services that give no token at all for more than the user may read.
    if (error instanceof LktError && error.code === 'ACCESS_DENIED') return undefined;
    throw error;
  }
  await response.discard();
  if (response.status === 201) return 'mounted';
  // A registry that may not read the other one says so in many ways, and takes the blob all the same.
  return response.status === 202 ? sessionFrom(remote, response) : undefined;
}
