import { ApiError } from './responses.ts';
import { bodyOf, type RequestContext, sendContent } from './request-context.ts';
import type { RegistryOptions } from './options.ts';
import { checkDigest, type Repository, sha256, type StoredManifest } from './storage.ts';

const MAX_MANIFEST_BYTES = 4 * 2 ** 20;

/** The fields of a manifest or index that the registry reads. */
export interface ManifestDocument {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers?: readonly { readonly digest: string; readonly mediaType: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
}

/**
 * Handles manifests (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting tags",
 * "Deleting Manifests").
 */
export async function handleManifest(context: RequestContext, reference: string): Promise<void> {
  const { response, method, name, storage, options } = context;
  const isTag = /^\w[\w.-]{0,127}$/.test(reference);
  if (!isTag && !reference.includes(':')) throw new ApiError(400, 'MANIFEST_INVALID');
  if (method === 'PUT') {
    await putManifest(context, reference, isTag);
    return;
  }
  const repository = storage.repository(name);
  const found = repository.manifest(reference);
  if (found === undefined) throw new ApiError(404, 'MANIFEST_UNKNOWN');
  const { digest, manifest } = found;
  if (method === 'DELETE') {
    if (isTag) repository.tags.delete(reference);
    else deleteManifest(repository, digest);
    response.writeHead(202, { 'content-length': 0 }).end();
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') throw new ApiError(405, 'UNSUPPORTED');
  sendContent(context, manifest.bytes, {
    'content-type': manifest.mediaType,
    ...(options.digestHeader === false ? {} : { 'docker-content-digest': digest }),
    ...(options.etags === true ? { etag: `"${digest}"` } : {}),
  });
}

async function putManifest(
  context: RequestContext,
  reference: string,
  isTag: boolean,
): Promise<void> {
  const { request, response, url, name, storage, options, location } = context;
  const bytes = await bodyOf(request, MAX_MANIFEST_BYTES);
  const repository = storage.repository(name, true);
  const document = parse(bytes);
  const mediaType =
    (request.headers['content-type'] ?? document.mediaType ?? '').split(';')[0] ?? '';
  if (mediaType === '' || (document.mediaType !== undefined && document.mediaType !== mediaType))
    throw new ApiError(400, 'MANIFEST_INVALID');
  if (!isTag) checkDigest(reference, bytes);
  checkParts(repository, document, options.allowMissing ?? 'manifests');
  checkCondition(context, repository.tags.get(reference));
  const digest = isTag ? sha256(bytes) : reference;
  repository.manifests.set(digest, { mediaType, bytes });
  const tags = isTag ? [reference] : url.searchParams.getAll('tag');
  for (const tag of tags) repository.tags.set(tag, digest);
  const { subject } = document;
  const knowsSubject = options.ociSubject ?? options.referrers !== false;
  response
    .writeHead(201, {
      location: location(`/v2/${name}/manifests/${digest}`),
      'docker-content-digest': digest,
      'content-length': 0,
      ...(isTag || tags.length === 0 ? {} : { 'oci-tag': tags.join(', ') }),
      ...(subject === undefined || !knowsSubject ? {} : { 'oci-subject': subject.digest }),
    })
    .end();
}

function checkParts(
  { blobs, manifests }: Repository,
  { config, layers = [], manifests: children = [] }: ManifestDocument,
  allowMissing: NonNullable<RegistryOptions['allowMissing']>,
): void {
  if (allowMissing === 'all') return;
  for (const { digest, mediaType } of config === undefined ? layers : [config, ...layers])
    if (!blobs.has(digest) && !mediaType.includes('nondistributable'))
      throw new ApiError(404, 'MANIFEST_BLOB_UNKNOWN');
  for (const { digest } of children)
    if (allowMissing === 'nothing' && !manifests.has(digest))
      throw new ApiError(404, 'MANIFEST_BLOB_UNKNOWN');
}

/** Checks `If-Match` and `If-None-Match: *` (RFC 9110, 13). */
function checkCondition({ request, options }: RequestContext, current: string | undefined): void {
  if (options.etags !== true) return;
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  if (match !== undefined && match !== `"${current}"`) throw new ApiError(412, 'DENIED');
  if (noneMatch === '*' && current !== undefined) throw new ApiError(412, 'DENIED');
}

function deleteManifest({ manifests, tags }: Repository, digest: string): void {
  manifests.delete(digest);
  for (const [tag, target] of tags) if (target === digest) tags.delete(tag);
}

function parse(bytes: Buffer): ManifestDocument {
  try {
    return JSON.parse(bytes.toString()) as ManifestDocument;
  } catch {
    throw new ApiError(400, 'MANIFEST_INVALID');
  }
}

/** Parses a stored manifest. */
export function documentOf({ bytes }: StoredManifest): ManifestDocument {
  return parse(bytes);
}
