import { type Digest, digestOf, isDigest, LktError, parseDigest } from '@lkt/core';
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  isManifestType,
  MediaType,
  parseManifestOrIndex,
  type Store,
} from '@lkt/oci';
import {
  bodyOf,
  COMMON,
  type Exchange,
  MANIFEST_SIZE,
  notAllowed,
  sendBytes,
} from '../exchange.ts';
import { Refusal } from '../refusal.ts';
import type { Repository } from './names.ts';

/** Steps of builds, which `lkt pkg build --cache-to` adds to: their tag has to go on. */
const STEPS = 'application/vnd.lkt.steps.v1+json';

/** distribution-spec, "Pulling manifests", "Pushing Manifests" */
export async function answerManifest(
  exchange: Exchange,
  repository: Repository,
  name: string,
  movesTags: boolean,
): Promise<void> {
  const { method } = exchange;
  if (method === 'GET' || method === 'HEAD') await send(exchange, repository, name);
  else if (method === 'PUT') await take(exchange, repository, name, movesTags);
  else throw notAllowed('GET, HEAD, PUT');
}

async function send(exchange: Exchange, repository: Repository, name: string): Promise<void> {
  const { store } = exchange;
  const digest = name.includes(':')
    ? parseDigest(name)
    : (await store.resolve(repository.tagged(name)))?.digest;
  const found = digest === undefined ? undefined : await documentAt(store, digest);
  if (digest === undefined || found === undefined)
    throw new Refusal(404, 'MANIFEST_UNKNOWN', 'there is no such manifest');
  await store.keep(digest);
  sendBytes(exchange, found.bytes, {
    'content-type': typeOf(found.document),
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  });
}

async function take(
  exchange: Exchange,
  repository: Repository,
  name: string,
  movesTags: boolean,
): Promise<void> {
  const { request, response, store } = exchange;
  const bytes = await bodyOf(request, MANIFEST_SIZE);
  const digest = digestOf(bytes);
  const reference = name.includes(':') ? undefined : repository.tagged(name);
  if (reference === undefined && parseDigest(name) !== digest)
    throw new Refusal(400, 'DIGEST_INVALID', `it is ${digest}`);
  const document = parseManifestOrIndex(bytes);
  const mediaType = typeOf(document);
  const given = request.headers['content-type']?.replace(/;.*$/, '').trim();
  if (given !== undefined && given !== mediaType)
    throw new Refusal(400, 'MANIFEST_INVALID', `it is ${mediaType}, not ${given}`);
  await requireContent(store, document);
  await store.writeBytes(bytes);
  const descriptor = { mediaType, digest, size: bytes.length };
  if (document.subject !== undefined) await store.addReferrer(descriptor);
  if (reference !== undefined) await nameIt(store, reference, descriptor, document, movesTags);
  response
    .writeHead(201, {
      ...COMMON,
      location: `/v2/${repository.name}/manifests/${digest}`,
      'docker-content-digest': digest,
      'content-length': 0,
      ...(document.subject === undefined ? {} : { 'oci-subject': document.subject.digest }),
    })
    .end();
}

/** What a manifest is made of has to be there, as long as it says. Of an index images may be missing. */
async function requireContent(store: Store, document: ImageIndex | ImageManifest): Promise<void> {
  if ('manifests' in document) return;
  for (const { digest, size } of [document.config, ...document.layers])
    if (!(await store.keep(digest, size)))
      throw new Refusal(404, 'MANIFEST_BLOB_UNKNOWN', `blob ${digest} is missing, or not as long`);
}

/** Names it. One at a time: of two that come at once the second must not take the place of the first. */
async function nameIt(
  store: Store,
  reference: string,
  descriptor: Descriptor,
  document: ImageIndex | ImageManifest,
  movesTags: boolean,
): Promise<void> {
  await store.withLock(`serve ${reference}`, async () => {
    const present = await store.resolve(reference);
    if (present?.digest === descriptor.digest) return;
    if (present !== undefined && !movesTags && !(await isMore(store, present.digest, document)))
      throw new Refusal(409, 'DENIED', `the tag is there, and stands for ${present.digest}`);
    await store.tag(reference, descriptor);
  });
}

/** Whether something has all that was there before: an index with images for more platforms, or steps of builds. */
async function isMore(
  store: Store,
  present: Digest,
  document: ImageIndex | ImageManifest,
): Promise<boolean> {
  const before = (await documentAt(store, present))?.document;
  // A name that leads to nothing is free.
  if (before === undefined) return true;
  if (before.artifactType === STEPS && document.artifactType === STEPS) return true;
  if (!('manifests' in before) || !('manifests' in document)) return false;
  const now = new Set(document.manifests.map(({ digest }) => digest));
  return before.manifests.every(({ digest }) => now.has(digest));
}

/** A blob of the store, if it is a manifest or an index. */
async function documentAt(
  store: Store,
  digest: Digest,
): Promise<{ readonly bytes: Buffer; readonly document: ImageIndex | ImageManifest } | undefined> {
  try {
    const bytes = await store.readBytes({ digest }, MANIFEST_SIZE);
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

/** "Listing Referrers" */
export async function sendReferrers(exchange: Exchange, text: string): Promise<void> {
  const { method, store, url } = exchange;
  if (method !== 'GET' && method !== 'HEAD') throw notAllowed('GET, HEAD');
  if (!isDigest(text)) throw new Refusal(400, 'DIGEST_INVALID', 'that is no digest');
  const type = url.searchParams.get('artifactType') ?? undefined;
  const manifests = await store.referrers(text, type);
  const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
  sendBytes(exchange, Buffer.from(JSON.stringify(index)), {
    'content-type': MediaType.ociIndex,
    ...(type === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
  });
}
