import {
  type Digest,
  digestAlgorithm,
  digestHex,
  KeyedMutex,
  LktError,
  withPrefix,
} from '@lkt/core';
import {
  type Descriptor,
  describeReferrer,
  type ImageIndex,
  MediaType,
  parseIndex,
} from '@lkt/oci';
import { registryError } from './api-error.ts';
import { changeTag, newIndex } from './change-tag.ts';
import { getManifest, type Manifest, MAX_MANIFEST, parseDocument } from './manifests.ts';
import { readPages } from './paging.ts';
import type { Remote } from './remote.ts';

/** Changes of one referrers tag run one after another. */
const fallbackMerges = new KeyedMutex();

/**
 * Returns the referrers of `subject` (distribution-spec, "Listing Referrers"): from the API, or
 * from the fallback tag if the registry lacks it.
 */
export async function listReferrers(
  remote: Remote,
  subject: Digest,
): Promise<readonly Descriptor[]> {
  const fromApi = await queryReferrersApi(remote, subject);
  if (fromApi !== undefined) return fromApi;
  const tag = fallbackTag(subject);
  const manifest = await getManifest(remote, { tag });
  return manifest === undefined ? [] : fallbackIndex(remote, tag, manifest).manifests;
}

/** Returns the result of the referrers API; undefined if the registry lacks it. */
export async function queryReferrersApi(
  remote: Remote,
  subject: Digest,
): Promise<Descriptor[] | undefined> {
  const found: Descriptor[] = [];
  let hasApi = true;
  await readPages(remote.url(`referrers/${subject}`), async (url) => {
    const options = { headers: { accept: MediaType.ociIndex } };
    const { response, bytes } = await remote.read(url, options, MAX_MANIFEST);
    const type = (response.header('content-type') ?? '').split(';')[0];
    const name = remote.nameOf({ digest: subject });
    if (bytes !== undefined && type === MediaType.ociIndex) {
      for (const item of parseList(bytes, `the list of referrers of ${name} is `)) found.push(item);
      return { response, size: bytes.length };
    }
    if (response.status === 401 || response.status === 403 || response.status >= 429)
      throw await registryError(response, remote.base, `list the referrers of ${name}`);
    await response.discard();
    hasApi = false;
    return undefined;
  });
  return hasApi ? found : undefined;
}

function parseList(bytes: Buffer, prefix: string): readonly Descriptor[] {
  try {
    return parseIndex(bytes).manifests;
  } catch (error) {
    throw withPrefix(error, prefix);
  }
}

/**
 * Records a pushed manifest as a referrer of its subject, unless the registry has the referrers
 * API. Adds it to the index at the subject's fallback tag, repeating until no concurrent change is
 * lost.
 */
export async function recordReferrer(
  remote: Remote,
  manifest: Manifest,
  subject: Digest,
): Promise<void> {
  // Some registries support referrers without stating so.
  if ((await queryReferrersApi(remote, subject)) !== undefined) return;
  const name = remote.nameOf({ digest: manifest.descriptor.digest });
  const descriptor = describeReferrer(manifest.descriptor, parseDocument(manifest, name));
  const tag = fallbackTag(subject);
  await fallbackMerges.run(remote.url(tag).href, async () =>
    changeTag(remote, tag, async (present) => {
      const { manifests, annotations }: Pick<ImageIndex, 'annotations' | 'manifests'> =
        present === undefined ? { manifests: [] } : fallbackIndex(remote, tag, present);
      if (manifests.some(({ digest }) => digest === descriptor.digest)) return undefined;
      return newIndex({ manifests: [...manifests, descriptor], annotations });
    }),
  );
}

/** Returns the fallback tag (distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`;
}

function fallbackIndex(remote: Remote, tag: string, manifest: Manifest): ImageIndex {
  const name = remote.nameOf({ tag });
  const document = parseDocument(manifest, name);
  if ('manifests' in document) return document;
  throw new LktError('IMAGE_INVALID', `${name} is an image, not a list of referrers`);
}
