import { undefinedIf } from '@lkt/core';
import {
  CONTENT_ERRORS,
  type Descriptor,
  type ImageManifest,
  isIndexType,
  parseManifest,
  type Reference,
  type Store,
  writeReferrer,
} from '@lkt/oci';
import type { RegistryReader } from '@lkt/registry';
import {
  isBundleManifest,
  MAX_BUNDLE_BYTES,
  MAX_LAYERS,
  MAX_REFERRERS,
  MAX_TOTAL_BYTES,
} from './collect-signatures.ts';
import { findManifest, referrersOf, referrersTag } from './registry-referrers.ts';
import {
  ATTESTATION_ARTIFACT,
  DSSE_ENVELOPE,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from '../bundle/formats.ts';

/** Options of `pullSignatures`. */
export interface PullSignaturesOptions {
  /**
   * Also pull unsigned referrers such as SBOMs and provenance; default false. Builds that use the
   * image may copy these documents into their own SBOMs.
   */
  readonly documents?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies the signatures and attestations of an image from a registry into the store, which must
 * have the image. Those under cosign 2's tags become referrers. Checks only their digests and that
 * they name the image.
 *
 * The store loses nothing. Broken entries are skipped, because verification would reject them.
 * @returns number of the registry's entries that the store has now
 * @throws NETWORK_FAILED, ACCESS_DENIED, IMAGE_INVALID: a failed request never counts as an empty
 * list
 * @example
 * ```ts
 * const subject = await registry.resolve({ ...repository, tag: '1.0' });
 * await pullSignatures(registry, store, repository, subject);
 * const collected = await collectFromStore(store, subject.digest);
 * ```
 */
export async function pullSignatures(
  registry: RegistryReader,
  store: Store,
  repository: Reference,
  subject: Descriptor,
  options: PullSignaturesOptions = {},
): Promise<number> {
  const { domain, path } = repository;
  const { digest } = subject;
  const skip = undefinedIf(...CONTENT_ERRORS);
  const pull = new Pull(registry, store, { domain, path }, options);
  const referrers = await referrersOf(registry, { domain, path, digest }, options.signal);
  for (const referrer of referrers.slice(0, MAX_REFERRERS))
    if (!isIndexType(referrer.mediaType)) await pull.referrer(referrer, subject).catch(skip);
  const tag = referrersTag(digest);
  await pull.tagOf(`${tag}.sig`, SIGNATURE_ARTIFACT, SIMPLE_SIGNING, subject).catch(skip);
  await pull.tagOf(`${tag}.att`, ATTESTATION_ARTIFACT, DSSE_ENVELOPE, subject).catch(skip);
  await store.addReferrer(...pull.found);
  return pull.found.length;
}

class Pull {
  readonly found: Descriptor[] = [];
  readonly #registry: RegistryReader;
  readonly #store: Store;
  readonly #repository: Reference;
  readonly #documents: boolean;
  readonly #signal: AbortSignal | undefined;
  #size = 0;

  constructor(
    registry: RegistryReader,
    store: Store,
    repository: Reference,
    { documents = false, signal }: PullSignaturesOptions,
  ) {
    this.#registry = registry;
    this.#store = store;
    this.#repository = repository;
    this.#documents = documents;
    this.#signal = signal;
  }

  async referrer({ digest }: Descriptor, subject: Descriptor): Promise<void> {
    const reference = { ...this.#repository, digest };
    const { descriptor, bytes } = await this.#registry.fetchManifest(reference, this.#signal);
    const manifest = parseManifest(bytes);
    // Do not trust the index of referrers: the manifest must name the subject.
    if (manifest.subject?.digest !== subject.digest || !isSmall(manifest.layers)) return;
    if (!this.#documents && !isSigned(manifest)) return;
    if (!(await this.#pullBlobs([manifest.config, ...manifest.layers]))) return;
    await this.#store.writeBytes(bytes, digest);
    this.found.push(descriptor);
  }

  async tagOf(
    tag: string,
    artifactType: string,
    mediaType: string,
    subject: Descriptor,
  ): Promise<void> {
    const name = { ...this.#repository, tag };
    const tagged = await findManifest(this.#registry, name, this.#signal);
    if (tagged === undefined) return;
    const all = parseManifest(tagged.bytes).layers;
    const layers = all.filter((layer) => layer.mediaType === mediaType);
    if (layers.length === 0 || !isSmall(layers) || !(await this.#pullBlobs(layers))) return;
    this.found.push(await writeReferrer(this.#store, { subject, artifactType, layers }));
  }

  /** Pulls blobs if they fit into the total size; reports whether they do. */
  async #pullBlobs(blobs: readonly Descriptor[]): Promise<boolean> {
    const size = blobs.reduce((sum, blob) => sum + blob.size, this.#size);
    if (size > MAX_TOTAL_BYTES) return false;
    this.#size = size;
    for (const blob of blobs)
      await this.#registry.pullBlob(this.#store, this.#repository, blob, this.#signal);
    return true;
  }
}

/** Reads the types from the manifest, not from the index that lists it. */
function isSigned(manifest: ImageManifest): boolean {
  const types = new Set(manifest.layers.map(({ mediaType }) => mediaType));
  return isBundleManifest(manifest) || types.has(SIMPLE_SIGNING) || types.has(DSSE_ENVELOPE);
}

function isSmall(layers: ImageManifest['layers']): boolean {
  return layers.length <= MAX_LAYERS && layers.every(({ size }) => size <= MAX_BUNDLE_BYTES);
}
