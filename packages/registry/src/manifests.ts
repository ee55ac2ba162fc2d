import { type Digest, digestOf, isDigest, LktError } from '@lkt/core';
import { type HttpResponse, isLastAttempt, waitBeforeRetry } from '@lkt/http';
import {
  type Descriptor,
  formatReference,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  isManifestType,
  MediaType,
  parseIndex,
  parseManifest,
  type Reference,
} from '@lkt/oci';
import { refusalError, refusalOf, registryError } from './errors.ts';
import type { Remote } from './remote.ts';

/** distribution-spec asks for 4 MiB at least; the store reads no more. */
export const MAX_MANIFEST: number = 4 * 2 ** 20;

const ACCEPT = [
  MediaType.ociIndex,
  MediaType.ociManifest,
  MediaType.dockerList,
  MediaType.dockerManifest,
].join(', ');

export interface Manifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** What a tag or digest stands for, without its content. Undefined when the registry has none such. */
export async function headManifest(
  remote: Remote,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<Descriptor | undefined> {
  const response = await remote.request(remote.url(`manifests/${keyOf(reference)}`), {
    action: 'pull',
    method: 'HEAD',
    headers: { accept: ACCEPT },
    signal,
  });
  await response.discard();
  if (response.status === 404) return undefined;
  const digest = response.header('docker-content-digest');
  const mediaType = typeOf(response);
  const size = Number(response.header('content-length') ?? 0);
  // Some registries say less in a HEAD than they should, and an error has its text in a GET only.
  const isWhole =
    response.status === 200 &&
    digest !== undefined &&
    isDigest(digest) &&
    mediaType !== '' &&
    size > 0;
  if (!isWhole) return (await getManifest(remote, reference, signal))?.descriptor;
  if (reference.digest !== undefined && digest !== reference.digest)
    throw otherContent(remote, reference, digest);
  return { mediaType, digest, size };
}

/**
 * The manifest or index, as the registry has it, checked. Undefined when the registry has none such.
 * @throws LktError ACCESS_DENIED, DIGEST_MISMATCH, IMAGE_INVALID, NETWORK_FAILED
 */
export async function getManifest(
  remote: Remote,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<(Manifest & { etag: string | undefined }) | undefined> {
  const name = formatReference(reference);
  const { response, bytes } = await remote.read(
    remote.url(`manifests/${keyOf(reference)}`),
    { action: 'pull', headers: { accept: ACCEPT }, signal },
    MAX_MANIFEST,
  );
  if (response.status === 404) {
    await response.discard();
    return undefined;
  }
  if (bytes === undefined) throw await registryError(response, `pull ${name}`);
  const digest = digestOf(bytes);
  const said = response.header('docker-content-digest');
  const expected = reference.digest ?? (said !== undefined && isDigest(said) ? said : digest);
  if (digest !== expected) throw otherContent(remote, reference, digest);
  const mediaType = typeOf(response) === '' ? typeInside(bytes) : typeOf(response);
  const descriptor = { mediaType, digest, size: bytes.length };
  parseDocument({ descriptor, bytes }, name);
  return { descriptor, bytes, etag: response.header('etag') };
}

/**
 * Reads what a manifest says. Its own type must be the one it came with (distribution-spec, "Pulling manifests").
 * @throws LktError IMAGE_INVALID
 */
export function parseDocument(
  { descriptor: { mediaType }, bytes }: Manifest,
  name: string,
): ImageIndex | ImageManifest {
  const isIndex = isIndexType(mediaType);
  if (!isIndex && !isManifestType(mediaType))
    throw new LktError('IMAGE_INVALID', `${name} is no image, but ${mediaType}`);
  try {
    const document = isIndex ? parseIndex(bytes) : parseManifest(bytes);
    if (document.mediaType !== undefined && document.mediaType !== mediaType)
      throw new LktError(
        'IMAGE_INVALID',
        `its mediaType is ${document.mediaType}, not ${mediaType}`,
      );
    return document;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw new LktError(error.code, `${name} is ${error.message}`, { cause: error });
  }
}

/** The answer to putting a manifest: whether the registry keeps track of what it is about. */
export interface PutManifest {
  readonly knowsSubject: boolean;
}

export async function putManifest(
  remote: Remote,
  reference: Reference,
  { descriptor, bytes }: Manifest,
  signal: AbortSignal | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<PutManifest | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await remote.request(remote.url(`manifests/${keyOf(reference)}`), {
      action: 'push',
      method: 'PUT',
      headers: { ...headers, 'content-type': descriptor.mediaType },
      body: bytes,
      signal,
    });
    const { status } = response;
    if (status === 201 || status === 412) {
      await response.discard();
      if (status === 412) return undefined;
      const said = response.header('docker-content-digest');
      if (said !== undefined && said.startsWith('sha256:') && said !== descriptor.digest)
        throw otherContent(remote, reference, said);
      return { knowsSubject: response.header('oci-subject') !== undefined };
    }
    const refusal = await refusalOf(response);
    const lacks = refusal.codes.some((code) => LACKING.has(code));
    if (!lacks || isLastAttempt(attempt, remote.retryPolicy))
      throw refusalError(refusal, `push ${formatReference(reference)}`);
    await waitBeforeRetry(attempt, undefined, { ...remote.retryPolicy, signal });
  }
}

/**
 * What a manifest names was there just now. docker-registry may not find it while somebody else brings the same; others
 * take a while to see what was brought.
 */
const LACKING: ReadonlySet<string> = new Set(['BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN']);

export async function deleteManifest(
  remote: Remote,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<void> {
  const response = await remote.request(remote.url(`manifests/${keyOf(reference)}`), {
    action: 'delete',
    method: 'DELETE',
    signal,
  });
  if (response.status !== 202 && response.status !== 200)
    throw await registryError(response, `delete ${formatReference(reference)}`);
  await response.discard();
}

/** A digest says more than a tag. */
function keyOf({ tag, digest }: Reference): Digest | string {
  return digest ?? tag ?? 'latest';
}

/** Without parameters, which the spec says to ignore. */
function typeOf(response: HttpResponse): string {
  const type = (response.header('content-type') ?? '').split(';')[0]?.trim() ?? '';
  return type === 'application/json' || type === 'text/plain' || type === 'application/octet-stream'
    ? ''
    : type;
}

function typeInside(bytes: Buffer): string {
  try {
    const { mediaType, manifests } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    if (typeof mediaType === 'string') return mediaType;
    return manifests === undefined ? MediaType.ociManifest : MediaType.ociIndex;
  } catch {
    return 'no JSON';
  }
}

function otherContent(remote: Remote, reference: Reference, digest: string): LktError {
  return new LktError(
    'DIGEST_MISMATCH',
    `${formatReference(reference)}: ${new URL(remote.base).host} gives ${digest} instead`,
    { fix: 'do not trust this registry' },
  );
}
