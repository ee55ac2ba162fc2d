import { Refusal } from './answer.ts';
import { bodyOf, type Exchange, sendContent } from './exchange.ts';
import type { RegistryOptions } from './options.ts';
import { checkDigest, type Repository, sha256, type StoredManifest } from './storage.ts';

const MAX_MANIFEST = 4 * 2 ** 20;

/** What the registry reads of a manifest or index. */
export interface ManifestDocument {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers?: readonly { readonly digest: string; readonly mediaType: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
}

/** distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting tags", "Deleting Manifests" */
export async function answerManifest(exchange: Exchange, reference: string): Promise<void> {
  const { response, method, name, storage, options } = exchange;
  const isTag = /^\w[\w.-]{0,127}$/.test(reference);
  if (!isTag && !reference.includes(':')) throw new Refusal(400, 'MANIFEST_INVALID');
  if (method === 'PUT') {
    await putManifest(exchange, reference, isTag);
    return;
  }
  const repository = storage.repository(name);
  const found = repository.manifest(reference);
  if (found === undefined) throw new Refusal(404, 'MANIFEST_UNKNOWN');
  const { digest, manifest } = found;
  if (method === 'DELETE') {
    if (options.deletes === false) throw new Refusal(405, 'UNSUPPORTED');
    if (isTag) repository.tags.delete(reference);
    else deleteManifest(repository, digest);
    response.writeHead(202, { 'content-length': 0 }).end();
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') throw new Refusal(405, 'UNSUPPORTED');
  sendContent(exchange, manifest.bytes, {
    'content-type': manifest.mediaType,
    ...(options.digestHeader === false ? {} : { 'docker-content-digest': digest }),
    ...(options.etags === true ? { etag: `"${digest}"` } : {}),
  });
}

async function putManifest(exchange: Exchange, reference: string, isTag: boolean): Promise<void> {
  const { request, response, url, name, storage, options, location } = exchange;
  const bytes = await bodyOf(request, MAX_MANIFEST);
  const repository = storage.repository(name, true);
  const document = parse(bytes);
  const mediaType =
    (request.headers['content-type'] ?? document.mediaType ?? '').split(';')[0] ?? '';
  if (mediaType === '' || (document.mediaType !== undefined && document.mediaType !== mediaType))
    throw new Refusal(400, 'MANIFEST_INVALID');
  if (!isTag) checkDigest(reference, bytes);
  checkParts(repository, document, options.mayLack ?? 'manifests');
  checkCondition(exchange, repository.tags.get(reference));
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
  mayLack: NonNullable<RegistryOptions['mayLack']>,
): void {
  if (mayLack === 'all') return;
  for (const { digest, mediaType } of config === undefined ? layers : [config, ...layers])
    if (!blobs.has(digest) && !mediaType.includes('nondistributable'))
      throw new Refusal(404, 'MANIFEST_BLOB_UNKNOWN');
  for (const { digest } of children)
    if (mayLack === 'nothing' && !manifests.has(digest))
      throw new Refusal(404, 'MANIFEST_BLOB_UNKNOWN');
}

/** RFC 9110, 13: `If-Match` and `If-None-Match: *` */
function checkCondition({ request, options }: Exchange, current: string | undefined): void {
  if (options.etags !== true) return;
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  if (match !== undefined && match !== `"${current}"`) throw new Refusal(412, 'DENIED');
  if (noneMatch === '*' && current !== undefined) throw new Refusal(412, 'DENIED');
}

function deleteManifest({ manifests, tags }: Repository, digest: string): void {
  manifests.delete(digest);
  for (const [tag, target] of tags) if (target === digest) tags.delete(tag);
}

function parse(bytes: Buffer): ManifestDocument {
  try {
    return JSON.parse(bytes.toString()) as ManifestDocument;
  } catch {
    throw new Refusal(400, 'MANIFEST_INVALID');
  }
}

export function documentOf({ bytes }: StoredManifest): ManifestDocument {
  return parse(bytes);
}
