import { type Digest, LktError } from '@lkt/core';
import type { Blobs } from '../store/blobs.ts';
import type { Descriptor } from './descriptor.ts';
import { type LayoutIndex, SUBJECT } from '../store/layout-index.ts';
import { type ImageIndex, type ImageManifest, isIndex, parseManifestOrIndex } from './manifest.ts';
import { isIndexType, isManifestType, MediaType } from './media-type.ts';
import type { Store } from '../store/store.ts';

const MAX_MANIFEST = 4 * 2 ** 20;

/**
 * A referrer to write: a manifest about another one, its subject, such as a signature or an SBOM
 * (OCI image-spec, manifest.md).
 */
export interface NewReferrer {
  readonly subject: Descriptor;
  readonly artifactType: string;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Writes the manifest of a referrer with image-spec's empty config. `Store.addReferrer` then makes
 * it findable.
 * @example
 * ```ts
 * const sbom = await writeReferrer(store, { subject, artifactType, layers: [document] });
 * await store.addReferrer(sbom);
 * ```
 */
export async function writeReferrer(store: Store, referrer: NewReferrer): Promise<Descriptor> {
  const { artifactType, annotations } = referrer;
  const { mediaType, digest, size } = referrer.subject;
  const empty = await store.writeBytes(Buffer.from('{}'));
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    artifactType,
    config: { mediaType: MediaType.ociEmpty, digest: empty.digest, size: empty.size },
    layers: referrer.layers.map((layer) => ({
      mediaType: layer.mediaType,
      digest: layer.digest,
      size: layer.size,
      annotations: layer.annotations,
    })),
    subject: { mediaType, digest, size },
    annotations,
  };
  const blob = await store.writeBytes(Buffer.from(JSON.stringify(manifest)));
  return describe({ mediaType: MediaType.ociManifest, ...blob }, manifest as ImageManifest);
}

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

/** Yields every referrer in a layout once, with its subject. */
export async function* allReferrers(
  blobs: Blobs,
  { entries }: LayoutIndex,
): AsyncGenerator<{ readonly subject: Digest; readonly referrer: Descriptor }> {
  const seen = new Set<Digest>();
  for (const { reference, descriptor } of entries) {
    if (reference !== undefined || seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    const document = await readReferrer(blobs, descriptor);
    if (document?.subject === undefined) continue;
    yield { subject: document.subject.digest, referrer: describe(descriptor, document) };
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
  const bytes = await blobs.readBytes(descriptor, MAX_MANIFEST).catch((error: unknown) => {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const document = parseManifestOrIndex(bytes);
  return document.subject === undefined ? undefined : document;
}

function describe(descriptor: Descriptor, document: ImageManifest | ImageIndex): Descriptor {
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
