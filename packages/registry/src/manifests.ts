import { digestAlgorithm, digestOf, hasDigest, isDigest, LktError, withPrefix } from '@lkt/core';
import { type HttpResponse, isLastAttempt, waitBeforeRetry } from '@lkt/http';
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  isManifestType,
  MediaType,
  parseDescribed,
} from '@lkt/oci';
import { toLktError, readApiError, registryError } from './api-error.ts';
import type { ManifestKey, Remote } from './remote.ts';

/**
 * Maximum bytes of a manifest: the minimum that distribution-spec requires, and the store's limit.
 */
export const MAX_MANIFEST: number = 4 * 2 ** 20;

const ACCEPT = [
  MediaType.ociIndex,
  MediaType.ociManifest,
  MediaType.dockerList,
  MediaType.dockerManifest,
].join(', ');

/** A manifest or index with its exact bytes. */
export interface Manifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** A manifest with the ETag for conditional changes of its tag, if the registry has them. */
export interface TaggedManifest extends Manifest {
  readonly etag: string | undefined;
}

/**
 * Returns the descriptor of a tag or digest without its content; undefined if the registry does not
 * have it.
 */
export async function headManifest(
  remote: Remote,
  key: ManifestKey,
): Promise<Descriptor | undefined> {
  const response = await remote.request(urlOf(remote, key), {
    action: 'pull',
    method: 'HEAD',
    headers: { accept: ACCEPT },
  });
  await response.discard();
  if (response.status === 404) return undefined;
  const digest = response.header('docker-content-digest');
  const mediaType = typeOf(response);
  const size = Number(response.header('content-length') ?? 0);
  // Some registries omit headers in a HEAD response, and only a GET has an error message.
  const isWhole =
    response.status === 200 &&
    digest !== undefined &&
    isDigest(digest) &&
    mediaType !== '' &&
    size > 0;
  if (!isWhole) return (await getManifest(remote, key))?.descriptor;
  if (key.digest !== undefined && digest !== key.digest) throw digestMismatch(remote, key, digest);
  return { mediaType, digest, size };
}

/**
 * Returns a manifest or index unmodified and verified; undefined if the registry does not have it.
 * @throws ACCESS_DENIED, DIGEST_MISMATCH, IMAGE_INVALID, NETWORK_FAILED
 */
export async function getManifest(
  remote: Remote,
  key: ManifestKey,
): Promise<TaggedManifest | undefined> {
  const name = remote.nameOf(key);
  const options = { headers: { accept: ACCEPT } };
  const { response, bytes } = await remote.read(urlOf(remote, key), options, MAX_MANIFEST);
  if (response.status === 404) {
    await response.discard();
    return undefined;
  }
  if (bytes === undefined) throw await registryError(response, remote.base, `read ${name}`);
  const stated = response.header('docker-content-digest');
  const named = stated !== undefined && isDigest(stated) ? stated : undefined;
  const expected = key.digest ?? named ?? digestOf(bytes);
  const digest = digestOf(bytes, digestAlgorithm(expected));
  if (digest !== expected) throw digestMismatch(remote, key, digest);
  const mediaType = typeOf(response) === '' ? typeInside(bytes) : typeOf(response);
  const descriptor = { mediaType, digest, size: bytes.length };
  parseDocument({ descriptor, bytes }, name);
  return { descriptor, bytes, etag: response.header('etag') };
}

/**
 * Parses a manifest. Its mediaType must match the type it was served with (distribution-spec,
 * "Pulling manifests").
 * @throws IMAGE_INVALID
 */
export function parseDocument(
  { descriptor: { mediaType }, bytes }: Manifest,
  name: string,
): ImageIndex | ImageManifest {
  if (!isIndexType(mediaType) && !isManifestType(mediaType))
    throw new LktError(
      'IMAGE_INVALID',
      `${name} has the media type ${mediaType}, which is not an image`,
    );
  try {
    return parseDescribed(bytes, mediaType);
  } catch (error) {
    throw withPrefix(error, `${name} is `);
  }
}

/**
 * Puts a manifest under a tag or digest.
 * @returns whether the registry maintains the referrers of the subject; undefined if a condition in
 * `headers` failed
 * @throws ACCESS_DENIED, DIGEST_MISMATCH, NETWORK_FAILED
 */
export async function putManifest(
  remote: Remote,
  key: ManifestKey,
  { descriptor, bytes }: Manifest,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly knowsSubject: boolean } | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await remote.request(urlOf(remote, key), {
      action: 'push',
      method: 'PUT',
      headers: { ...headers, 'content-type': descriptor.mediaType },
      body: bytes,
    });
    const { status } = response;
    if (status === 201 || status === 412) {
      await response.discard();
      if (status === 412) return undefined;
      const stated = response.header('docker-content-digest');
      const isWrong = stated !== undefined && isDigest(stated) && !hasDigest(bytes, stated);
      if (isWrong) throw digestMismatch(remote, key, stated);
      return { knowsSubject: response.header('oci-subject') !== undefined };
    }
    const apiError = await readApiError(response);
    const isMissingContent = apiError.codes.some((code) => MISSING_CONTENT_CODES.has(code));
    if (!isMissingContent || isLastAttempt(attempt, remote.retryPolicy))
      throw toLktError(apiError, remote.base, `push ${remote.nameOf(key)}`);
    await waitBeforeRetry(attempt, undefined, remote.retryPolicy);
  }
}

/**
 * Codes about missing content that was pushed just before. docker-registry may not find it during a
 * concurrent push; other registries see new content after a delay.
 */
const MISSING_CONTENT_CODES: ReadonlySet<string> = new Set([
  'BLOB_UNKNOWN',
  'MANIFEST_BLOB_UNKNOWN',
]);

/** The digest takes precedence over the tag. */
function urlOf(remote: Remote, { tag, digest }: ManifestKey): URL {
  return remote.url(`manifests/${digest ?? tag ?? 'latest'}`);
}

/** Returns the media type without parameters, which the specification says to ignore. */
function typeOf(response: HttpResponse): string {
  const type = (response.header('content-type') ?? '').split(';')[0]?.trim() ?? '';
  return type === 'application/json' || type === 'text/plain' || type === 'application/octet-stream'
    ? ''
    : type;
}

/** Returns the media type that a manifest states or has by its form. */
export function typeInside(bytes: Buffer): string {
  try {
    const { mediaType, manifests } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    if (typeof mediaType === 'string') return mediaType;
    return manifests === undefined ? MediaType.ociManifest : MediaType.ociIndex;
  } catch {
    return 'not JSON';
  }
}

function digestMismatch(remote: Remote, key: ManifestKey, digest: string): LktError {
  return new LktError(
    'DIGEST_MISMATCH',
    `${remote.nameOf(key)}: ${remote.base.host} returned ${digest} instead`,
    { fix: 'do not trust this registry' },
  );
}
