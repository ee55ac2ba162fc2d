import { digestHex, LktError } from '@lkt/core';
import {
  type Descriptor,
  type ImageManifest,
  isIndexType,
  parseIndex,
  parseManifest,
  type Reference,
  type Store,
  writeReferrer,
} from '@lkt/oci';
import type { RegistryReader } from '@lkt/registry';
import { isBundleManifest } from './collect.ts';
import {
  ATTESTATION_ARTIFACT,
  DSSE_ENVELOPE,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from '../bundle/formats.ts';

/** As many as are read when they are checked. */
const MAX_REFERRERS = 200;
/** SBOMs have some MB. */
const MAX_SIZE = 64 * 2 ** 20;
/** Of all that is beside one image, as when it is checked: a registry must not fill the disk. */
const MAX_TOTAL = 256 * 2 ** 20;

export interface PullSignaturesOptions {
  /**
   * Also what is not signed: SBOMs and provenance as they are, and whatever else refers to the image. Of builds that name the
   * image they may show up in the SBOMs; so by default they are left where they are.
   */
  readonly documents?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings what a registry has signed of an image into the store, beside the image, which has to be there: signatures and
 * attestations, those under the tags of cosign 2 as referrers. Nothing of it is checked but that it is what its digest
 * names, and that it is about the image.
 *
 * Nothing that the store has goes. What is broken is left out, as it counts for nothing anyway.
 * @returns how many the store now has of those that are there
 * @throws LktError as the registry does: what cannot be asked for is not taken for nothing
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
  const { signal } = options;
  const pull = new Pull(registry, store, { domain, path }, options);
  const tag = `sha256-${digestHex(digest)}`;
  const listed = await registry.referrers({ domain, path, digest }, undefined, signal);
  // A registry that has learned the API may still have what was pushed before under the tag.
  const tagged = await pull.manifestAt(tag);
  const isIndex = tagged !== undefined && isIndexType(tagged.descriptor.mediaType);
  const more = isIndex ? parseIndex(tagged.bytes).manifests : [];
  const all = new Map([...listed, ...more].map((item) => [item.digest, item]));
  for (const referrer of [...all.values()].slice(0, MAX_REFERRERS))
    if (!isIndexType(referrer.mediaType)) await pull.referrer(referrer, subject);
  await pull.tagOf(`${tag}.sig`, SIGNATURE_ARTIFACT, SIMPLE_SIGNING, subject);
  await pull.tagOf(`${tag}.att`, ATTESTATION_ARTIFACT, DSSE_ENVELOPE, subject);
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

  async manifestAt(tag: string): Promise<{ descriptor: Descriptor; bytes: Buffer } | undefined> {
    try {
      return await this.#registry.fetchManifest({ ...this.#repository, tag }, this.#signal);
    } catch (error) {
      if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  async referrer({ digest }: Descriptor, subject: Descriptor): Promise<void> {
    await leavingOutBroken(async () => {
      const reference = { ...this.#repository, digest };
      const { descriptor, bytes } = await this.#registry.fetchManifest(reference, this.#signal);
      const manifest = parseManifest(bytes);
      // An index of referrers is anybody's word.
      if (manifest.subject?.digest !== subject.digest || !isSmall(manifest.layers)) return;
      if (!this.#documents && !isSigned(manifest)) return;
      if (!this.#takes([manifest.config, ...manifest.layers])) return;
      await this.#blobs([manifest.config, ...manifest.layers]);
      await this.#store.writeBytes(bytes);
      this.found.push(descriptor);
    });
  }

  async tagOf(
    tag: string,
    artifactType: string,
    mediaType: string,
    subject: Descriptor,
  ): Promise<void> {
    await leavingOutBroken(async () => {
      const tagged = await this.manifestAt(tag);
      if (tagged === undefined) return;
      const layers = parseManifest(tagged.bytes).layers.filter(
        (layer) => layer.mediaType === mediaType,
      );
      if (layers.length === 0 || !isSmall(layers) || !this.#takes(layers)) return;
      await this.#blobs(layers);
      this.found.push(await writeReferrer(this.#store, { subject, artifactType, layers }));
    });
  }

  /** Whether these fit in; if so they count. */
  #takes(blobs: readonly Descriptor[]): boolean {
    const size = blobs.reduce((sum, blob) => sum + blob.size, this.#size);
    if (size > MAX_TOTAL) return false;
    this.#size = size;
    return true;
  }

  async #blobs(blobs: readonly Descriptor[]): Promise<void> {
    for (const blob of blobs)
      await this.#registry.pullBlob(this.#store, this.#repository, blob, this.#signal);
  }
}

/** By the manifest's own word, not that of a list. */
function isSigned(manifest: ImageManifest): boolean {
  const types = new Set(manifest.layers.map(({ mediaType }) => mediaType));
  return isBundleManifest(manifest) || types.has(SIMPLE_SIGNING) || types.has(DSSE_ENVELOPE);
}

function isSmall(layers: ImageManifest['layers']): boolean {
  return layers.length <= MAX_REFERRERS && layers.every(({ size }) => size <= MAX_SIZE);
}

async function leavingOutBroken(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const isContent =
      error instanceof LktError &&
      ['DIGEST_MISMATCH', 'IMAGE_INVALID', 'NOT_FOUND'].includes(error.code);
    if (!isContent) throw error;
  }
}
