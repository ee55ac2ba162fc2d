import { hasDigest, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatPlatform,
  isIndexType,
  parseImageConfig,
  type Platform,
} from '@lkt/oci';
import {
  changedByOthers,
  changeTag,
  conditionFor,
  MAX_CHANGE_ATTEMPTS,
  newIndex,
} from './change-tag.ts';
import {
  getManifest,
  type Manifest,
  MAX_MANIFEST,
  parseDocument,
  putManifest,
} from './manifests.ts';
import type { ManifestKey, Remote } from './remote.ts';

/** Options of changing a tag. */
export interface MergeOptions {
  /** Order of the images in the index; default: by platform name. */
  readonly compare?: ((a: Platform, b: Platform) => number) | undefined;
  /** Replace another image of the same platform; by default that is an error. */
  readonly replace?: boolean | undefined;
  /** Compute the result without changing anything. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The manifest of a tag, and whether this call changed it. */
export interface TagResult {
  readonly descriptor: Descriptor;
  readonly changed: boolean;
}

/** The index of a tag after a merge. */
export interface MergeResult extends TagResult {
  /** The entries of the index. */
  readonly manifests: readonly Descriptor[];
}

/**
 * Makes a tag an index of images in the repository, merged with the tag's images for other
 * platforms.
 * @throws TAG_TAKEN if the tag has another image for one of the platforms
 */
export async function mergeIndex(
  remote: Remote,
  tag: string,
  images: readonly Descriptor[],
  options: MergeOptions,
): Promise<MergeResult> {
  let changed = false;
  let manifests: readonly Descriptor[] = [];
  let index = newIndex({ manifests });
  await changeTag(remote, tag, async (present) => {
    const items = present === undefined ? [] : await itemsOf(remote, present, { tag });
    manifests = merged(remote.nameOf({ tag }), items, images, options);
    index = newIndex({ manifests });
    changed ||= present?.descriptor.digest !== index.descriptor.digest;
    return options.dryRun === true ? undefined : index;
  });
  return { descriptor: index.descriptor, manifests, changed };
}

/**
 * Tags a manifest of the repository.
 * @throws TAG_TAKEN if the tag refers to another manifest and `replace` is not set; NOT_FOUND
 */
export async function tagManifest(
  remote: Remote,
  tag: string,
  descriptor: Descriptor,
  { replace = false, dryRun = false }: MergeOptions,
): Promise<TagResult> {
  const { digest } = descriptor;
  const name = remote.nameOf({ tag });
  for (let attempt = 0; attempt < MAX_CHANGE_ATTEMPTS; attempt += 1) {
    const present = await getManifest(remote, { tag });
    if (present !== undefined && hasDigest(present.bytes, digest))
      return { descriptor, changed: false };
    if (present !== undefined && !replace)
      throw new LktError(
        'TAG_TAKEN',
        `${name} already refers to ${present.descriptor.digest}, not ${digest}`,
        { fix: 'choose another tag' },
      );
    if (dryRun) return { descriptor, changed: true };
    const manifest = await getManifest(remote, { digest });
    if (manifest === undefined)
      throw new LktError('NOT_FOUND', `${remote.nameOf({ digest })} is not in the registry`);
    const put = await putManifest(remote, { tag }, manifest, conditionFor(present));
    if (put !== undefined) return { descriptor, changed: true };
  }
  throw changedByOthers(name);
}

/**
 * Returns the entries of an index; for a single image, one entry with the platform of its config.
 */
async function itemsOf(
  remote: Remote,
  manifest: Manifest,
  key: ManifestKey,
): Promise<readonly Descriptor[]> {
  const document = parseDocument(manifest, remote.nameOf(key));
  if ('manifests' in document) return document.manifests;
  const config = parseImageConfig(await remote.readBlob(document.config, MAX_MANIFEST));
  const { os, architecture, variant } = config;
  const platform = { os, architecture, variant: variant === '' ? undefined : variant };
  return [{ ...manifest.descriptor, platform }];
}

/**
 * Annotation of Docker's attestations, index entries without a platform, that names their image.
 */
const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

function merged(
  name: string,
  present: readonly Descriptor[],
  images: readonly Descriptor[],
  { replace = false, compare = byName }: MergeOptions,
): readonly Descriptor[] {
  const kept = present.filter((item) => {
    const { platform } = item;
    const same = images.find(
      (image) =>
        platform !== undefined && image.platform !== undefined && isSame(image.platform, platform),
    );
    if (same === undefined) return !images.some(({ digest }) => digest === item.digest);
    if (same.digest !== item.digest && !replace)
      throw new LktError(
        'TAG_TAKEN',
        `${name} already has ${item.digest} for ${formatPlatform(same.platform ?? NONE)}, not ${same.digest}`,
        {
          fix: 'find out why the sources built to two images, or replace the pushed one with --override',
        },
      );
    return false;
  });
  const all = [...images, ...kept];
  const digests = new Set<string>(all.map(({ digest }) => digest));
  return all
    .filter(({ annotations }) => {
      const about = annotations?.[REFERENCE_DIGEST];
      return about === undefined || digests.has(about);
    })
    .toSorted((a, b) => order(a, b, compare));
}

const NONE: Platform = { os: 'unknown', architecture: 'unknown' };

function isSame(a: Platform, b: Platform): boolean {
  return a.os !== 'unknown' && formatPlatform(a) === formatPlatform(b);
}

function order(
  a: Descriptor,
  b: Descriptor,
  compare: (a: Platform, b: Platform) => number,
): number {
  const [left, right] = [a.platform ?? NONE, b.platform ?? NONE];
  return (
    rank(left) - rank(right) ||
    compare(left, right) ||
    byName(left, right) ||
    (a.digest < b.digest ? -1 : 1)
  );
}

function rank({ os }: Platform): number {
  return os === 'unknown' ? 1 : 0;
}

function byName(a: Platform, b: Platform): number {
  const [left, right] = [formatPlatform(a), formatPlatform(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Returns the images of a tag, each with its platform; empty if the tag does not exist. */
export async function taggedImages(
  remote: Remote,
  key: ManifestKey,
): Promise<readonly Descriptor[]> {
  const manifest = await getManifest(remote, key);
  if (manifest === undefined) return [];
  const items = await itemsOf(remote, manifest, key);
  return items.filter(
    ({ platform, mediaType }) =>
      platform !== undefined && platform.os !== 'unknown' && !isIndexType(mediaType),
  );
}
