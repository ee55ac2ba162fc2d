import { setTimeout as delay } from 'node:timers/promises';
import { canonicalJson, digestOf, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatPlatform,
  formatReference,
  type ImageIndex,
  isIndexType,
  MediaType,
  parseImageConfig,
  type Platform,
  type Reference,
} from '@lkt/oci';
import {
  getManifest,
  type Manifest,
  MAX_MANIFEST,
  parseDocument,
  putManifest,
} from './manifests.ts';
import type { Remote } from './remote.ts';

const MAX_MERGE_ATTEMPTS = 10;

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

type Named = Reference & { readonly tag: string };

/**
 * Makes a tag an index of images in the repository, merged with the tag's images for other
 * platforms. The PUT is conditional; since not every registry checks the condition, the result is
 * read again.
 * @throws TAG_TAKEN if the tag has another image for one of the platforms
 */
export async function mergeIndex(
  remote: Remote,
  reference: Named,
  images: readonly Descriptor[],
  options: MergeOptions,
): Promise<MergeResult> {
  const { signal, dryRun = false } = options;
  let changed = false;
  for (let attempt = 0; attempt < MAX_MERGE_ATTEMPTS; attempt += 1) {
    const before = await getManifest(remote, reference, signal);
    const present = before === undefined ? [] : await itemsOf(remote, before, reference, signal);
    const manifests = merged(reference, present, images, options);
    const wanted = indexOf(manifests);
    const { descriptor } = wanted;
    if (before?.descriptor.digest === descriptor.digest) return { descriptor, manifests, changed };
    if (dryRun) return { descriptor, manifests, changed: true };
    await putManifest(remote, reference, wanted, signal, condition(before));
    changed = true;
    await delay(
      10 + Math.random() * 30 * attempt,
      undefined,
      signal === undefined ? {} : { signal },
    );
  }
  throw new LktError(
    'NETWORK_FAILED',
    `${formatReference(reference)} is being changed by other processes`,
    { fix: 'try again later' },
  );
}

/**
 * Tags a manifest of the repository.
 * @throws TAG_TAKEN if the tag refers to another manifest and `replace` is not set; NOT_FOUND
 */
export async function tagManifest(
  remote: Remote,
  reference: Named,
  descriptor: Descriptor,
  { replace = false, dryRun = false, signal }: Omit<MergeOptions, 'compare'>,
): Promise<TagResult> {
  const { domain, path } = reference;
  for (let attempt = 0; attempt < MAX_MERGE_ATTEMPTS; attempt += 1) {
    const before = await getManifest(remote, reference, signal);
    if (before?.descriptor.digest === descriptor.digest) return { descriptor, changed: false };
    if (before !== undefined && !replace)
      throw new LktError(
        'TAG_TAKEN',
        `${formatReference(reference)} already refers to ${before.descriptor.digest}, not ${descriptor.digest}`,
        { fix: 'choose another tag' },
      );
    if (dryRun) return { descriptor, changed: true };
    const name = { domain, path, digest: descriptor.digest };
    const manifest = await getManifest(remote, name, signal);
    if (manifest === undefined)
      throw new LktError('NOT_FOUND', `${formatReference(name)} is not in the registry`);
    const put = await putManifest(remote, reference, manifest, signal, condition(before));
    if (put !== undefined) return { descriptor, changed: true };
  }
  throw new LktError(
    'NETWORK_FAILED',
    `${formatReference(reference)} is being changed by other processes`,
    { fix: 'try again later' },
  );
}

function condition(
  before: { readonly etag: string | undefined } | undefined,
): Record<string, string> {
  if (before === undefined) return { 'if-none-match': '*' };
  return before.etag === undefined ? {} : { 'if-match': before.etag };
}

/**
 * Returns the entries of an index; for a single image, one entry with the platform of its config.
 */
async function itemsOf(
  remote: Remote,
  manifest: Manifest,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const name = formatReference(reference);
  const document = parseDocument(manifest, name);
  if ('manifests' in document) return document.manifests;
  const { digest, size } = document.config;
  if (size > MAX_MANIFEST)
    throw new LktError('IMAGE_INVALID', `the config of ${name} has ${size} bytes`);
  const { content } = await remote.download(digest, { size, digest, signal });
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  const bytes = Buffer.concat(parts);
  if (digestOf(bytes) !== digest)
    throw new LktError('DIGEST_MISMATCH', `the config of ${name} does not match its digest`);
  const { os, architecture, variant } = parseImageConfig(bytes);
  const platform = {
    os,
    architecture,
    variant: variant === undefined || variant === '' ? undefined : variant,
  };
  return [{ ...manifest.descriptor, platform }];
}

/**
 * Annotation of Docker's attestations, index entries without a platform, that names their image.
 */
const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

function merged(
  reference: Reference,
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
        `${formatReference(reference)} already has ${item.digest} for ${formatPlatform(same.platform ?? NONE)}, not ${same.digest}`,
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

function indexOf(manifests: readonly Descriptor[]): Manifest {
  const index: ImageIndex = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
  const bytes = Buffer.from(canonicalJson(index));
  const descriptor = { mediaType: MediaType.ociIndex, digest: digestOf(bytes), size: bytes.length };
  return { descriptor, bytes };
}

/** Returns the images of a tag, each with its platform; empty if the tag does not exist. */
export async function taggedImages(
  remote: Remote,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const manifest = await getManifest(remote, reference, signal);
  if (manifest === undefined) return [];
  const items = await itemsOf(remote, manifest, reference, signal);
  return items.filter(
    ({ platform, mediaType }) =>
      platform !== undefined && platform.os !== 'unknown' && !isIndexType(mediaType),
  );
}
