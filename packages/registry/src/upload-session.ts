/** An upload as the registry sees it (distribution-spec, "Pushing Blobs"): how it begins, where it goes on, its end. */
import { type Digest, LktError } from '@lkt/core';
import { type HttpResponse, redactUrl } from '@lkt/http';
import { registryError } from './errors.ts';
import type { Remote } from './remote.ts';

/** Where an upload goes on. */
export interface UploadSession {
  readonly url: URL;
  /** The least bytes of a part that is not the last. */
  readonly minChunk: number;
}

/** Begins one. @throws LktError ACCESS_DENIED, NETWORK_FAILED */
export async function startUpload(
  remote: Remote,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<UploadSession> {
  const response = await remote.request(remote.url('blobs/uploads/'), {
    action: 'push',
    method: 'POST',
    headers: { 'content-length': '0' },
    signal,
  });
  if (response.status !== 202)
    throw await registryError(response, `push blob ${digest} to ${remote.path}`);
  await response.discard();
  return sessionFrom(remote, response);
}

/** The address is used as it was given: it holds what the registry must find in it. */
export function sessionFrom(remote: Remote, response: HttpResponse, minChunk = 0): UploadSession {
  const location = response.header('location');
  if (location === undefined || !URL.canParse(location, response.url.href))
    throw new LktError('NETWORK_FAILED', `${response.url.host} names no address to send a blob to`);
  const url = new URL(location, response.url);
  const own = new URL(remote.base);
  if (own.protocol === 'https:' && url.protocol === 'http:') {
    // Behind a proxy that does TLS for it, a registry may think that it speaks http.
    if (url.hostname !== own.hostname)
      throw new LktError(
        'NETWORK_FAILED',
        `${own.host} wants blobs sent to ${redactUrl(url)}, which is not https`,
      );
    url.protocol = 'https:';
    url.port = own.port;
  }
  const said = Number(response.header('oci-chunk-min-length') ?? minChunk);
  return { url, minChunk: Number.isSafeInteger(said) ? said : 0 };
}

/** Frees what the registry holds of an upload. It does so itself after a while. */
export async function cancelUpload(remote: Remote, { url }: UploadSession): Promise<void> {
  try {
    const response = await remote.request(url, {
      action: 'push',
      method: 'DELETE',
      headers: { 'content-length': '0' },
      signal: AbortSignal.timeout(2000),
      retry: false,
    });
    await response.discard();
  } catch {
    // Nothing depends on it.
  }
}
