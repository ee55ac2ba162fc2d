import { type Digest, LktError } from '@lkt/core';
import {
  type Descriptor,
  type ImageManifest,
  isIndexType,
  parseManifest,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { RegistryReader } from '@lkt/registry';
import type { CollectedSignatures, UnverifiedSignature } from './collected-signatures.ts';
import {
  ANY_BUNDLE,
  DSSE_ENVELOPE,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from '../bundle/formats.ts';
import { findManifest, CONTENT_ERRORS, referrersOf, referrersTag } from './registry-referrers.ts';
import { VerificationError } from '../verify/verification-error.ts';

/** Bytes of a bundle or envelope. Those of SBOMs have some MB. */
export const MAX_BUNDLE_BYTES: number = 64 * 2 ** 20;
const MAX_PAYLOAD_BYTES = 64 * 1024;

/** Bounds the work: a party with write access could add any number of referrers. */
export const MAX_REFERRERS = 200;
export const MAX_LAYERS = 200;
/** Bytes. All signatures of one image are in memory at once. */
export const MAX_TOTAL_BYTES: number = 256 * 2 ** 20;

/**
 * Reports whether a manifest carries a bundle. Reads the manifest itself, because cosign and some
 * registries write another type in the index that lists it.
 */
export function isBundleManifest({ artifactType, layers }: ImageManifest): boolean {
  return (
    artifactType?.startsWith(ANY_BUNDLE) === true ||
    layers[0]?.mediaType.startsWith(ANY_BUNDLE) === true
  );
}

/**
 * Reports whether a referrer is a signature of either form, by its descriptor in a list of
 * referrers.
 */
export function isSignature({ artifactType }: Descriptor): boolean {
  return artifactType?.startsWith(ANY_BUNDLE) === true || artifactType === SIGNATURE_ARTIFACT;
}

/**
 * Returns the signatures that the store has for an image.
 * @throws IO_FAILED, DIGEST_MISMATCH, IMAGE_INVALID
 */
export async function collectFromStore(
  store: Store,
  subject: Digest,
): Promise<CollectedSignatures> {
  const collector = new Collector({
    manifest: async (descriptor) => store.readBytes(descriptor),
    blob: async (descriptor, limit) => store.readBytes(descriptor, limit),
  });
  await collector.addReferrers(subject, await store.referrers(subject));
  return collector.collected();
}

/**
 * Returns the signatures that a registry has for an image: its referrers, by the API or the
 * fallback tag, and cosign 2's tags `.sig` and `.att`.
 * @throws NETWORK_FAILED, ACCESS_DENIED, IMAGE_INVALID: a failed request never counts as an empty
 * list
 */
export async function collectFromRegistry(
  registry: RegistryReader,
  image: Reference & { readonly digest: Digest },
  signal?: AbortSignal,
): Promise<CollectedSignatures> {
  const { domain, path, digest } = image;
  const repository = { domain, path };
  const collector = new Collector({
    manifest: async (descriptor) =>
      (await registry.fetchManifest({ ...repository, digest: descriptor.digest }, signal)).bytes,
    blob: async (descriptor, limit) =>
      registry.fetchBlob(repository, descriptor, { limit, signal }),
  });
  await collector.addReferrers(digest, await referrersOf(registry, image, signal));
  for (const suffix of ['sig', 'att']) {
    const tag = `${referrersTag(digest)}.${suffix}`;
    const found = await findManifest(registry, { ...repository, tag }, signal);
    if (found !== undefined)
      await collector.reading(tag, async () =>
        collector.addLayers(tag, parseManifest(found.bytes)),
      );
  }
  return collector.collected();
}

interface Source {
  readonly manifest: (descriptor: Descriptor) => Promise<Buffer>;
  readonly blob: (descriptor: Descriptor, limit: number) => Promise<Buffer>;
}

class Collector {
  readonly #source: Source;
  readonly #items: UnverifiedSignature[] = [];
  readonly #unreadable: { source: string; reason: string }[] = [];
  #size = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  collected(): CollectedSignatures {
    return { items: this.#items, unreadable: this.#unreadable };
  }

  async addReferrers(subject: Digest, referrers: readonly Descriptor[]): Promise<void> {
    if (referrers.length > MAX_REFERRERS)
      throw new LktError(
        'IMAGE_INVALID',
        `${subject} has ${referrers.length} referrers, more than ${MAX_REFERRERS}`,
      );
    for (const referrer of referrers) {
      if (isIndexType(referrer.mediaType)) continue;
      const source = `referrer ${referrer.digest}`;
      await this.reading(source, async () => {
        const manifest = parseManifest(await this.#source.manifest(referrer));
        // Do not trust the index of referrers: the manifest must name the subject.
        if (manifest.subject?.digest !== subject)
          throw new VerificationError('about another image');
        if (isBundleManifest(manifest)) await this.#addBundle(source, manifest);
        else await this.addLayers(source, manifest);
      });
    }
  }

  /** Adds the layers that are signatures or attestations in cosign 2's form, and skips others. */
  async addLayers(source: string, { layers }: ImageManifest): Promise<void> {
    if (layers.length > MAX_LAYERS)
      throw new VerificationError(`has ${layers.length} layers, more than ${MAX_LAYERS}`);
    for (const [index, layer] of layers.entries()) {
      const isPayload = layer.mediaType === SIMPLE_SIGNING;
      if (!isPayload && layer.mediaType !== DSSE_ENVELOPE) continue;
      const place = layers.length === 1 ? source : `${source}, layer ${index + 1}`;
      await this.reading(place, async () => {
        const limit = isPayload ? MAX_PAYLOAD_BYTES : MAX_BUNDLE_BYTES;
        const bytes = await this.#blob(layer, limit);
        const { annotations = {} } = layer;
        const kind = isPayload ? 'signature' : 'attestation';
        this.#items.push({ kind, source: place, bytes, annotations });
      });
    }
  }

  async #addBundle(source: string, { layers }: ImageManifest): Promise<void> {
    const [layer, ...more] = layers;
    if (layer === undefined || more.length > 0)
      throw new VerificationError('does not have exactly one layer');
    const bytes = await this.#blob(layer, MAX_BUNDLE_BYTES);
    this.#items.push({ kind: 'bundle', source, bytes });
  }

  async #blob(layer: Descriptor, limit: number): Promise<Buffer> {
    if (this.#size + layer.size > MAX_TOTAL_BYTES)
      throw new VerificationError(
        `the signatures of the image exceed ${MAX_TOTAL_BYTES / 2 ** 20} MiB`,
      );
    const bytes = await this.#source.blob(layer, limit);
    this.#size += bytes.length;
    return bytes;
  }

  /**
   * Runs `read` and records content errors as unreadable. Other errors, such as those of the
   * network, propagate.
   */
  async reading(source: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      const isContent = error instanceof LktError && CONTENT_ERRORS.includes(error.code);
      if (!isContent && !(error instanceof VerificationError)) throw error;
      this.#unreadable.push({ source, reason: error.message });
    }
  }
}
