import { setTimeout as delay } from 'node:timers/promises';
import { canonicalJson, type Digest, digestHex, digestOf, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatReference,
  type ImageIndex,
  type ImageManifest,
  MediaType,
  parseIndex,
  type Reference,
} from '@lkt/oci';
import { registryError } from './errors.ts';
import { inTurn } from './in-turn.ts';
import {
  getManifest,
  type Manifest,
  MAX_MANIFEST,
  parseDocument,
  putManifest,
} from './manifests.ts';
import { readPages } from './paging.ts';
import type { Remote } from './remote.ts';

const MERGE_TRIES = 10;

/**
 * The manifests that are about `subject` (distribution-spec, "Listing Referrers"): by the API, or where there is none,
 * by the tag that stands for it.
 */
export async function listReferrers(
  remote: Remote,
  subject: Reference & { digest: Digest },
  artifactType: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Descriptor[]> {
  const fromApi = await askApi(remote, subject, artifactType, signal);
  const all = fromApi ?? (await readFallback(remote, subject, signal)).manifests;
  if (artifactType === undefined) return [...all];
  // Without a type it cannot be told whether it is one that was asked for; some registries leave it out.
  const known = await Promise.all(all.map(async (item) => withType(remote, subject, item, signal)));
  return known.filter((item) => item.artifactType === artifactType);
}

/** Undefined when the registry has no such API. */
async function askApi(
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
 * Makes a manifest known as one about its subject, after it was put. Nothing is to be done where the registry does so
 * itself. Otherwise it is added to the list behind the subject's tag, as often as it takes not to lose what others
 * add at the same time.
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
  // There are registries that keep track and do not say so.
  if ((await askApi(remote, about, undefined, signal)) !== undefined) return;
  const descriptor = referrerDescriptor(
    manifest,
    parseDocument(manifest, formatReference(named(repository, manifest.descriptor.digest))),
  );
  await mergeFallback(remote, about, signal, (items) =>
    items.some(({ digest }) => digest === descriptor.digest) ? undefined : [...items, descriptor],
  );
}

/** Takes a manifest off the list behind its subject's tag, after it was deleted. */
export async function forgetReferrer(
  remote: Remote,
  repository: Reference,
  digest: Digest,
  subject: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const about = { ...named(repository, subject.digest), digest: subject.digest };
  if ((await askApi(remote, about, undefined, signal)) !== undefined) return;
  await mergeFallback(remote, about, signal, (items) =>
    items.some((item) => item.digest === digest)
      ? items.filter((item) => item.digest !== digest)
      : undefined,
  );
}

/** distribution-spec, "Pushing Manifests with Subject": what the list says of a manifest. */
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
    ...(type === undefined ? {} : { artifactType: type }),
    ...(document.annotations === undefined ? {} : { annotations: document.annotations }),
  };
}

/** "Referrers Tag Schema" */
function fallbackTag(digest: Digest): string {
  return `sha256-${digestHex(digest)}`;
}

/** Changes the list, one at a time in this process. `change` gives undefined when it is as it should be. */
async function mergeFallback(
  remote: Remote,
  subject: Reference & { digest: Digest },
  signal: AbortSignal | undefined,
  change: (items: readonly Descriptor[]) => readonly Descriptor[] | undefined,
): Promise<void> {
  await inTurn(`referrers ${remote.url('').href} ${subject.digest}`, async () =>
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
  for (let attempt = 0; attempt < MERGE_TRIES; attempt += 1) {
    const { manifests, annotations, etag, exists } = await readFallback(remote, subject, signal);
    const changed = change(manifests);
    if (changed === undefined) return;
    const index = {
      schemaVersion: 2,
      mediaType: MediaType.ociIndex,
      manifests: changed,
      ...(annotations === undefined ? {} : { annotations }),
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
    // Few registries look at the condition. Who wrote at the same time is seen a little later, if at all.
    await delay(
      20 + Math.random() * 30 * (attempt + 1),
      undefined,
      signal === undefined ? {} : { signal },
    );
  }
  throw new LktError(
    'NETWORK_FAILED',
    `the list of referrers of ${formatReference(subject)} is changed by others all the time`,
    { fix: 'try again when they are done' },
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
    ...(annotations === undefined ? {} : { annotations }),
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
