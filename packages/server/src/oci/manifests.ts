import { type Digest, digestAlgorithm, digestOf, LktError, parseDigest } from '@lkt/core';
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  isDistributable,
  isIndexType,
  isManifestType,
  MediaType,
  parseManifestOrIndex,
  type Store,
} from '@lkt/oci';
import {
  bodyOf,
  type Exchange,
  MAX_MANIFEST_BYTES,
  notAllowed,
  sendBytes,
  sendEmpty,
} from '../exchange.ts';
import { ApiError } from '../api-error.ts';
import { changes, deleteContent, deleteTag } from './delete.ts';
import type { Repository } from './names.ts';

/** Artifact type of build steps from `lkt pkg build --cache-to`, whose tag may move. */
const BUILD_STEPS_TYPE = 'application/vnd.lkt.steps.v1+json';

/**
 * Handles a manifest request (distribution-spec, "Pulling manifests", "Pushing Manifests",
 * "Deleting Manifests").
 */
export async function handleManifest(
  exchange: Exchange,
  repository: Repository,
  name: string,
): Promise<void> {
  const { method } = exchange;
  if (method === 'GET' || method === 'HEAD') await sendManifest(exchange, repository, name);
  else if (method === 'PUT') await putManifest(exchange, repository, name);
  else if (method === 'DELETE') await deleteManifest(exchange, repository, name);
  else throw notAllowed('DELETE, GET, HEAD, PUT');
}

async function sendManifest(
  exchange: Exchange,
  repository: Repository,
  name: string,
): Promise<void> {
  const { store } = exchange;
  const digest = name.includes(':')
    ? parseDigest(name)
    : (await store.resolve(repository.tagReference(name)))?.digest;
  const found = digest === undefined ? undefined : await documentAt(store, digest);
  if (digest === undefined || found === undefined)
    throw new ApiError(404, 'MANIFEST_UNKNOWN', 'manifest not found');
  await store.keep(digest);
  sendBytes(exchange, found.bytes, {
    'content-type': typeOf(found.document),
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  });
}

async function deleteManifest(
  exchange: Exchange,
  repository: Repository,
  name: string,
): Promise<void> {
  if (!name.includes(':')) return deleteTag(exchange, repository, name);
  const digest = parseDigest(name);
  const unknown = 'MANIFEST_UNKNOWN';
  if ((await documentAt(exchange.store, digest)) === undefined)
    throw new ApiError(404, unknown, 'manifest not found');
  const owns = (reference: string): boolean => repository.tagOf(reference) !== undefined;
  await deleteContent(exchange, digest, owns, unknown);
}

async function putManifest(
  exchange: Exchange,
  repository: Repository,
  name: string,
): Promise<void> {
  const { request, store } = exchange;
  const bytes = await bodyOf(exchange, MAX_MANIFEST_BYTES);
  const given = name.includes(':') ? parseDigest(name) : undefined;
  const tags = given === undefined ? [name] : tagsOf(exchange);
  const references = tags.map((tag) => repository.tagReference(tag));
  const digest = digestOf(bytes, given === undefined ? 'sha256' : digestAlgorithm(given));
  if (given !== undefined && given !== digest)
    throw new ApiError(400, 'DIGEST_INVALID', `the digest of the content is ${digest}`);
  const document = parsed(bytes);
  const mediaType = typeOf(document);
  const type = request.headers['content-type']?.replace(/;.*$/, '').trim();
  if (type !== undefined && type !== mediaType)
    throw new ApiError(400, 'MANIFEST_INVALID', `the manifest is ${mediaType}, not ${type}`);
  await changes.run(store.dir, async () => {
    await requireContent(store, document);
    await store.writeBytes(bytes, digest);
    const descriptor = { mediaType, digest, size: bytes.length };
    if (document.subject !== undefined) await store.addReferrer(descriptor);
    for (const reference of references)
      await tagManifest(exchange, reference, descriptor, document);
  });
  sendEmpty(exchange, 201, {
    location: `/v2/${repository.name}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(document.subject === undefined ? {} : { 'oci-subject': document.subject.digest }),
    ...(given === undefined || tags.length === 0 ? {} : { 'oci-tag': tags.join(', ') }),
  });
}

/** Tags of one request; the specification recommends at least ten. */
const MAX_TAGS = 100;

/**
 * Returns the tags in the query of a push by digest.
 * @throws ApiError 414
 */
function tagsOf({ url }: Exchange): readonly string[] {
  const tags = [...new Set(url.searchParams.getAll('tag'))];
  if (tags.length > MAX_TAGS)
    throw new ApiError(414, 'MANIFEST_INVALID', `the request has more than ${MAX_TAGS} tags`);
  return tags;
}

/** @throws ApiError 400 */
function parsed(bytes: Buffer): ImageIndex | ImageManifest {
  try {
    return parseManifestOrIndex(bytes);
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw new ApiError(400, 'MANIFEST_INVALID', error.message);
  }
}

/**
 * Requires the blobs of a manifest with their stated size. Images of an index and non-distributable
 * layers may be missing.
 */
async function requireContent(store: Store, document: ImageIndex | ImageManifest): Promise<void> {
  if ('manifests' in document) return;
  for (const { digest, size, mediaType } of [document.config, ...document.layers])
    if (!(await store.keep(digest, size)) && isDistributable(mediaType))
      throw new ApiError(
        404,
        'MANIFEST_BLOB_UNKNOWN',
        `blob ${digest} is missing or has another size`,
      );
}

/** Tags a manifest. One request at a time, so that a concurrent one cannot replace the tag. */
async function tagManifest(
  { store, limits }: Exchange,
  reference: string,
  descriptor: Descriptor,
  document: ImageIndex | ImageManifest,
): Promise<void> {
  await store.withLock(`serve ${reference}`, async () => {
    const present = await store.resolve(reference);
    if (present?.digest === descriptor.digest) return;
    if (
      present !== undefined &&
      !limits.canMoveTags &&
      !(await isSuperset(store, present.digest, document))
    )
      throw new ApiError(409, 'DENIED', `the tag already refers to ${present.digest}`);
    await store.tag(reference, descriptor);
  });
}

/**
 * Reports whether a document extends the present one: an index with the same images and more, or
 * build steps.
 */
async function isSuperset(
  store: Store,
  present: Digest,
  document: ImageIndex | ImageManifest,
): Promise<boolean> {
  const before = (await documentAt(store, present))?.document;
  // A tag without its manifest can be replaced.
  if (before === undefined) return true;
  if (before.artifactType === BUILD_STEPS_TYPE && document.artifactType === BUILD_STEPS_TYPE)
    return true;
  if (!('manifests' in before) || !('manifests' in document)) return false;
  const now = new Set(document.manifests.map(({ digest }) => digest));
  return before.manifests.every(({ digest }) => now.has(digest));
}

/** Returns a manifest or index of the store; undefined for other blobs. */
async function documentAt(
  store: Store,
  digest: Digest,
): Promise<{ readonly bytes: Buffer; readonly document: ImageIndex | ImageManifest } | undefined> {
  try {
    const bytes = await store.readBytes({ digest }, MAX_MANIFEST_BYTES);
    return { bytes, document: parseManifestOrIndex(bytes) };
  } catch (error) {
    if (error instanceof LktError && ['IMAGE_INVALID', 'NOT_FOUND'].includes(error.code))
      return undefined;
    throw error;
  }
}

function typeOf(document: ImageIndex | ImageManifest): string {
  const { mediaType } = document;
  if (mediaType !== undefined && (isIndexType(mediaType) || isManifestType(mediaType)))
    return mediaType;
  return 'manifests' in document ? MediaType.ociIndex : MediaType.ociManifest;
}
