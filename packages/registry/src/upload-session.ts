/** Upload sessions (distribution-spec, "Pushing Blobs"): start, continuation and cancellation. */
import { type Digest, digestAlgorithm, LktError } from '@lkt/core';
import { type HttpResponse, redactUrl } from '@lkt/http';
import { registryError } from './api-error.ts';
import type { Remote } from './remote.ts';

/** The continuation of an upload. */
export interface UploadSession {
  readonly url: URL;
  /** Minimum bytes of a chunk, except the last. */
  readonly minChunk: number;
}

/**
 * Starts an upload.
 * @throws ACCESS_DENIED, NETWORK_FAILED
 */
export async function startUpload(remote: Remote, digest: Digest): Promise<UploadSession> {
  const url = remote.url('blobs/uploads/');
  const algorithm = digestAlgorithm(digest);
  if (algorithm !== 'sha256') url.searchParams.set('digest-algorithm', algorithm);
  const response = await remote.request(url, {
    action: 'push',
    method: 'POST',
    headers: { 'content-length': '0' },
  });
  if (response.status !== 202)
    throw await registryError(
      response,
      remote.base,
      `push blob ${digest} to ${remote.repository.path}`,
    );
  await response.discard();
  return sessionFrom(remote, response);
}

/**
 * Returns the session of a response. The URL is used unmodified, since it contains the registry's
 * state.
 */
export function sessionFrom(remote: Remote, response: HttpResponse, minChunk = 0): UploadSession {
  const location = response.header('location');
  if (location === undefined || !URL.canParse(location, response.url.href))
    throw new LktError('NETWORK_FAILED', `${response.url.host} returned no upload address`);
  const url = new URL(location, response.url);
  const own = remote.base;
  if (own.protocol === 'https:' && url.protocol === 'http:') {
    // A registry behind a TLS proxy may state http for itself.
    if (url.hostname !== own.hostname)
      throw new LktError(
        'NETWORK_FAILED',
        `${own.host} redirects uploads to ${redactUrl(url)}, which is not https`,
      );
    url.protocol = 'https:';
    url.port = own.port;
  }
  const stated = Number(response.header('oci-chunk-min-length') ?? minChunk);
  return { url, minChunk: Number.isSafeInteger(stated) ? stated : 0 };
}

/** Frees the registry's state of an upload early; it expires by itself. */
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
    // Best effort.
  }
}
