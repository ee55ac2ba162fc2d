import { type Digest, LktError } from '@lkt/core';
import type { Blobs } from '../store/blobs.ts';
import type { Descriptor } from './descriptor.ts';
import { type LayoutIndex, SUBJECT } from '../store/layout-index.ts';
import {
  type ImageIndex,
  type ImageManifest,
  isIndex,
  parseBlob,
  parseManifestOrIndex,
} from './manifest.ts';
import { isIndexType, isManifestType } from './media-type.ts';

/**
 * Returns the referrers of `subject` in a layout, sorted by digest, as the referrers API of
 * distribution-spec lists them.
 */
export async function findReferrers(
  blobs: Blobs,
  index: LayoutIndex,
  subject: Digest,
  artifactType?: string,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  const entries = index.entries.filter(({ descriptor }) => {
    const { [SUBJECT]: about } = descriptor.annotations ?? {};
    return about === undefined || about === subject;
  });
  for await (const { subject: about, referrer } of allReferrers(blobs, { ...index, entries })) {
    if (about !== subject) continue;
    if (artifactType === undefined || referrer.artifactType === artifactType) found.push(referrer);
  }
  return found.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

/** Returns the referrers in a layout by the digest of their subject. */
export async function referrersBySubject(
  blobs: Blobs,
  index: LayoutIndex,
): Promise<ReadonlyMap<Digest, readonly Descriptor[]>> {
  const found = new Map<Digest, Descriptor[]>();
  for await (const { subject, referrer } of allReferrers(blobs, index))
    found.set(subject, [...(found.get(subject) ?? []), referrer]);
  return found;
}

/** Yields every referrer in a layout once, with its subject. */
async function* allReferrers(
  blobs: Blobs,
  { entries }: LayoutIndex,
): AsyncGenerator<{ readonly subject: Digest; readonly referrer: Descriptor }> {
  const seen = new Set<Digest>();
  for (const { reference, descriptor } of entries) {
    if (reference !== undefined || seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    const document = await readReferrer(blobs, descriptor);
    if (document?.subject === undefined) continue;
    yield { subject: document.subject.digest, referrer: describeReferrer(descriptor, document) };
  }
}

/**
 * Returns the manifest of a layout entry if it is in the store and has a subject.
 * @throws IMAGE_INVALID, DIGEST_MISMATCH
 */
export async function readReferrer(
  blobs: Blobs,
  descriptor: Descriptor,
): Promise<ImageManifest | ImageIndex | undefined> {
  if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return undefined;
  const bytes = await blobs.readBytes(descriptor).catch((error: unknown) => {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const document = parseBlob(descriptor.digest, bytes, parseManifestOrIndex);
  return document.subject === undefined ? undefined : document;
}

/** Returns the descriptor of a referrer, as the referrers API of distribution-spec lists it. */
export function describeReferrer(
  descriptor: Descriptor,
  document: ImageManifest | ImageIndex,
): Descriptor {
  const { mediaType, digest, size } = descriptor;
  // distribution-spec, "Listing Referrers": the config's media type stands in for a missing
  // artifactType.
  const type = document.artifactType ?? (isIndex(document) ? undefined : document.config.mediaType);
  const { annotations } = document;
  return {
    mediaType,
    digest,
    size,
    annotations,
    artifactType: type,
  };
}
