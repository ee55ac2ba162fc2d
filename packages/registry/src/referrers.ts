import { setTimeout as delay } from 'node:timers/promises';
import { canonicalJson, type Digest, digestHex, digestOf, KeyedMutex, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatReference,
  type ImageIndex,
  type ImageManifest,
  MediaType,
  parseIndex,
  type Reference,
} from '@lkt/oci';
import { registryError } from './api-error.ts';
import {
  getManifest,
  type Manifest,
  MAX_MANIFEST,
  parseDocument,
  putManifest,
} from './manifests.ts';
import { readPages } from './paging.ts';
import type { Remote } from './remote.ts';

/** Changes of one referrers tag run one after another. */
const fallbackMerges = new KeyedMutex();

const MAX_MERGE_ATTEMPTS = 10;

/**
 * Returns the referrers of `subject` (distribution-spec, "Listing Referrers"): from the API, or
 * from the fallback tag if there is none.
 */
export async function listReferrers(
  remote: Remote,
  subject: Reference & { digest: Digest },
  artifactType: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Descriptor[]> {
  const fromApi = await queryReferrersApi(remote, subject, artifactType, signal);
  const all = fromApi ?? (await readFallback(remote, subject, signal)).manifests;
  if (artifactType === undefined) return [...all];
  // Some registries omit the artifact type, which the filter needs.
  const known = await Promise.all(all.map(async (item) => withType(remote, subject, item, signal)));
  return known.filter((item) => item.artifactType === artifactType);
}

/** Returns the result of the referrers API; undefined if the registry lacks it. */
async function queryReferrersApi(
  remote: Remote,
  subject: Reference & { digest: Digest },
  artifactType: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Descriptor[] | undefined> {
  const found: Descriptor[] = [];
  let hasApi = true;
  const first = remote.url(`referrers/${subject.digest}`);
  if (artifactType !== undefined) first.searchParams.set('artifactType', artifactType);
  await readPages(first, async (url) => {
    const { response, bytes } = await remote.read(
      url,
      { action: 'pull', headers: { accept: MediaType.ociIndex }, signal },
      MAX_MANIFEST,
    );
    const type = (response.header('content-type') ?? '').split(';')[0];
    if (bytes !== undefined && type === MediaType.ociIndex) {
      const parsed = parsing(subject, () => parseIndex(bytes));
      found.push(...parsed.manifests);
      return response;
    }
    if (response.status === 401 || response.status === 403 || response.status >= 429)
      throw await registryError(response, `list the referrers of ${formatReference(subject)}`);
    await response.discard();
    hasApi = false;
    return undefined;
  });
  return hasApi ? found : undefined;
}

async function withType(
  remote: Remote,
  subject: Reference,
  item: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  if (item.artifactType !== undefined || item.mediaType !== MediaType.ociManifest) return item;
  const manifest = await getManifest(remote, named(subject, item.digest), signal);
  if (manifest === undefined) return item;
  return referrerDescriptor(manifest, parseDocument(manifest, item.digest));
}

/**
 * Records a pushed manifest as a referrer of its subject. Does nothing if the registry does so
 * itself. Otherwise adds it to the index at the subject's fallback tag, repeating until no
 * concurrent change is lost.
 */
export async function recordReferrer(
  remote: Remote,
  repository: Reference,
  manifest: Manifest,
  subject: Descriptor,
  knowsSubject: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (knowsSubject) return;
  const about = { ...named(repository, subject.digest), digest: subject.digest };
  // Some registries support referrers without stating so.
  if ((await queryReferrersApi(remote, about, undefined, signal)) !== undefined) return;
  const descriptor = referrerDescriptor(
    manifest,
    parseDocument(manifest, formatReference(named(repository, manifest.descriptor.digest))),
  );
  await mergeFallback(remote, about, signal, (items) =>
    items.some(({ digest }) => digest === descriptor.digest) ? undefined : [...items, descriptor],
  );
}

/** Removes a deleted manifest from the index at its subject's fallback tag. */
export async function removeReferrer(
  remote: Remote,
  repository: Reference,
  digest: Digest,
  subject: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const about = { ...named(repository, subject.digest), digest: subject.digest };
  if ((await queryReferrersApi(remote, about, undefined, signal)) !== undefined) return;
  await mergeFallback(remote, about, signal, (items) =>
    items.some((item) => item.digest === digest)
      ? items.filter((item) => item.digest !== digest)
      : undefined,
  );
}

/** Returns the index entry of a referrer (distribution-spec, "Pushing Manifests with Subject"). */
function referrerDescriptor(
  { descriptor }: Manifest,
  document: ImageIndex | ImageManifest,
): Descriptor {
  const type =
    document.artifactType ?? ('config' in document ? document.config.mediaType : undefined);
  const { mediaType, digest, size } = descriptor;
  return {
    mediaType,
    digest,
    size,
    artifactType: type,
    annotations: document.annotations,
  };
}

/** Returns the fallback tag (distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(digest: Digest): string {
  return `sha256-${digestHex(digest)}`;
}

/**
 * Changes the fallback index; within this process one change at a time. `change` returns undefined
 * if nothing needs to change.
 */
async function mergeFallback(
  remote: Remote,
  subject: Reference & { digest: Digest },
  signal: AbortSignal | undefined,
  change: (items: readonly Descriptor[]) => readonly Descriptor[] | undefined,
): Promise<void> {
  await fallbackMerges.run(`${remote.url('').href} ${subject.digest}`, async () =>
    merge(remote, subject, signal, change),
  );
}

async function merge(
  remote: Remote,
  subject: Reference & { digest: Digest },
  signal: AbortSignal | undefined,
  change: (items: readonly Descriptor[]) => readonly Descriptor[] | undefined,
): Promise<void> {
  const tagged: Reference = { ...named(subject), tag: fallbackTag(subject.digest) };
  for (let attempt = 0; attempt < MAX_MERGE_ATTEMPTS; attempt += 1) {
    const { manifests, annotations, etag, exists } = await readFallback(remote, subject, signal);
    const changed = change(manifests);
    if (changed === undefined) return;
    const index = {
      schemaVersion: 2,
      mediaType: MediaType.ociIndex,
      manifests: changed,
      annotations,
    };
    const bytes = Buffer.from(canonicalJson(index));
    const descriptor = {
      mediaType: MediaType.ociIndex,
      digest: digestOf(bytes),
      size: bytes.length,
    };
    const condition: Record<string, string> = exists
      ? etag === undefined
        ? {}
        : { 'if-match': etag }
      : { 'if-none-match': '*' };
    await putManifest(remote, tagged, { descriptor, bytes }, signal, condition);
    // Few registries check the condition, so read again later to detect a concurrent change.
    await delay(
      20 + Math.random() * 30 * (attempt + 1),
      undefined,
      signal === undefined ? {} : { signal },
    );
  }
  throw new LktError(
    'NETWORK_FAILED',
    `the list of referrers of ${formatReference(subject)} is being changed by other processes`,
    { fix: 'try again later' },
  );
}

async function readFallback(
  remote: Remote,
  subject: Reference & { digest: Digest },
  signal: AbortSignal | undefined,
): Promise<
  Pick<ImageIndex, 'annotations' | 'manifests'> & { etag: string | undefined; exists: boolean }
> {
  const tagged: Reference = { ...named(subject), tag: fallbackTag(subject.digest) };
  const manifest = await getManifest(remote, tagged, signal);
  if (manifest === undefined) return { manifests: [], etag: undefined, exists: false };
  const document = parseDocument(manifest, formatReference(tagged));
  if (!('manifests' in document))
    throw new LktError(
      'IMAGE_INVALID',
      `${formatReference(tagged)} is an image, not a list of referrers`,
    );
  const { manifests, annotations } = document;
  return {
    manifests,
    annotations,
    etag: manifest.etag,
    exists: true,
  };
}

function named({ domain, path }: Reference, digest?: Digest): Reference {
  return digest === undefined ? { domain, path } : { domain, path, digest };
}

function parsing<T>(subject: Reference, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    const what = `the list of referrers of ${formatReference(subject)} is ${error.message}`;
    throw new LktError(error.code, what, { cause: error });
  }
}
