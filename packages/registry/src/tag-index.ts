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

const MERGE_TRIES = 10;

export interface MergeOptions {
  /** The order of images in the index; by default that of the names of their platforms. */
  readonly compare?: ((a: Platform, b: Platform) => number) | undefined;
  /** Take the place of another image that the tag has for a platform. By default that is an error. */
  readonly replace?: boolean | undefined;
  /** Find out what would be, and change nothing. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a tag stands for now, and whether that was brought about just now. */
export interface Tagged {
  readonly descriptor: Descriptor;
  readonly changed: boolean;
}

export interface Merged extends Tagged {
  /** What the index lists. */
  readonly manifests: readonly Descriptor[];
}

type Named = Reference & { readonly tag: string };

/**
 * Makes a tag an index of these images, which are in the repository, and of what it has for other platforms already.
 * It is put on the condition that nobody changed it meanwhile, and looked at again afterwards, as not every registry
 * looks at the condition.
 * @throws LktError TAG_TAKEN when the tag has another image for one of the platforms
 */
export async function mergeIndex(
  remote: Remote,
  reference: Named,
  images: readonly Descriptor[],
  options: MergeOptions,
): Promise<Merged> {
  const { signal, dryRun = false } = options;
  let changed = false;
  for (let attempt = 0; attempt < MERGE_TRIES; attempt += 1) {
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
    `${formatReference(reference)} is changed by others all the time`,
    { fix: 'try again when they are done' },
  );
}

/**
 * Gives what the repository has by digest a tag.
 * @throws LktError TAG_TAKEN when the tag stands for something else, unless it may be replaced; NOT_FOUND
 */
export async function tagManifest(
  remote: Remote,
  reference: Named,
  descriptor: Descriptor,
  { replace = false, dryRun = false, signal }: Omit<MergeOptions, 'compare'>,
): Promise<Tagged> {
  const { domain, path } = reference;
  for (let attempt = 0; attempt < MERGE_TRIES; attempt += 1) {
    const before = await getManifest(remote, reference, signal);
    if (before?.descriptor.digest === descriptor.digest) return { descriptor, changed: false };
    if (before !== undefined && !replace)
      throw new LktError(
        'TAG_TAKEN',
        `${formatReference(reference)} is ${before.descriptor.digest} already, and this is ${descriptor.digest}`,
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
    `${formatReference(reference)} is changed by others all the time`,
    { fix: 'try again when they are done' },
  );
}

function condition(
  before: { readonly etag: string | undefined } | undefined,
): Record<string, string> {
  if (before === undefined) return { 'if-none-match': '*' };
  return before.etag === undefined ? {} : { 'if-match': before.etag };
}

/** What an index lists; an image alone is one for the platform in its config. */
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
    throw new LktError('DIGEST_MISMATCH', `the config of ${name} is not what its digest says`);
  const { os, architecture, variant } = parseImageConfig(bytes);
  const platform = {
    os,
    architecture,
    ...(variant === undefined || variant === '' ? {} : { variant }),
  };
  return [{ ...manifest.descriptor, platform }];
}

/** Docker's attestations stand in an index as images of no platform, and name theirs. */
const ABOUT = 'vnd.docker.reference.digest';

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
        `${formatReference(reference)} has ${item.digest} for ${formatPlatform(same.platform ?? NONE)} already, and this is ${same.digest}`,
        { fix: 'find out why the same sources gave two images; --override replaces the one there' },
      );
    return false;
  });
  const all = [...images, ...kept];
  const digests = new Set<string>(all.map(({ digest }) => digest));
  return all
    .filter(({ annotations }) => {
      const about = annotations?.[ABOUT];
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

/** The images behind a tag, each with its platform; none when there is no such tag. */
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
