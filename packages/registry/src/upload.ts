import { type Digest, KeyedMutex, LktError } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';
import type { Remote } from './remote.ts';
import { type SendOptions, Upload, type UploadSource } from './send-blob.ts';
import { cancelUpload, sessionFrom, startUpload, type UploadSession } from './upload-session.ts';

/** Uploads of one blob to one repository run one after another. */
const uploads = new KeyedMutex();

/** Options of an upload. */
export interface UploadOptions extends SendOptions {
  /** Returns the repositories of the same registry that may have the blob. */
  readonly mountFrom: () => Promise<readonly string[]>;
}

/** How a blob got into the repository. */
export type UploadResult = 'mounted' | 'present' | 'uploaded';

/**
 * Puts a blob into a repository unless present: mounts it from another repository if possible, else
 * uploads it, resuming after interruptions.
 *
 * Concurrent calls for one blob share the transfer: during a second upload, docker-registry may
 * report the blob as missing.
 * @throws ACCESS_DENIED, DIGEST_MISMATCH (of the source), NETWORK_FAILED
 */
export async function uploadBlob(
  remote: Remote,
  source: UploadSource,
  options: UploadOptions,
): Promise<UploadResult> {
  return uploads.run(remote.url(`blobs/${source.digest}`).href, async () =>
    transfer(remote, source, options),
  );
}

async function transfer(
  remote: Remote,
  source: UploadSource,
  options: UploadOptions,
): Promise<UploadResult> {
  if (await hasBlob(remote, source.digest)) return 'present';
  let session: UploadSession | undefined;
  for (const from of await options.mountFrom()) {
    const mount = await tryMount(remote, source, from);
    if (mount === undefined) continue;
    // Registries that cannot mount start an upload instead; keep at most one.
    if (session !== undefined) await cancelUpload(remote, session);
    if (mount === 'mounted') return 'mounted';
    session = mount;
  }
  session ??= await startUpload(remote, source.digest);
  await new Upload(remote, source, options, session).send();
  return 'uploaded';
}

/** Reports whether a repository has a blob. */
async function hasBlob(remote: Remote, digest: Digest): Promise<boolean> {
  const response = await remote.request(remote.url(`blobs/${digest}`), {
    action: 'pull',
    method: 'HEAD',
  });
  await response.discard();
  return response.status === 200;
}

/**
 * Tries to mount the blob. Returns `mounted`, the upload session that the registry started instead,
 * or undefined.
 */
async function tryMount(
  remote: Remote,
  { digest }: UploadSource,
  from: string,
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
    });
  } catch (error) {
    // Some token services deny the whole token if the user may not read one of the repositories.
    if (error instanceof LktError && error.code === 'ACCESS_DENIED') return undefined;
    throw error;
  }
  await response.discard();
  if (response.status === 201) return 'mounted';
  // Registries report an unreadable source in different ways; an upload works nevertheless.
  return response.status === 202 ? sessionFrom(remote, response) : undefined;
}
