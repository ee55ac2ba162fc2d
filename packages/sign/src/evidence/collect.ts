import { type Digest, digestHex, LktError } from '@lkt/core';
import {
  type Descriptor,
  type ImageManifest,
  isIndexType,
  parseIndex,
  parseManifest,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { RegistryReader } from '@lkt/registry';
import type { Evidence, EvidenceItem } from './evidence.ts';
import {
  ANY_BUNDLE,
  DSSE_ENVELOPE,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from '../bundle/formats.ts';
import { Unusable } from '../verify/unusable.ts';

/** Bundles of SBOMs have some MB. */
export const MAX_BUNDLE: number = 64 * 2 ** 20;
const MAX_ENVELOPE = 64 * 2 ** 20;
const MAX_PAYLOAD = 64 * 1024;

/** Whoever can write beside an image could put so many there that nobody gets to the end. */
const MAX_REFERRERS = 200;
const MAX_LAYERS = 200;
/** All that is beside one image is in memory at once. */
const MAX_TOTAL = 256 * 2 ** 20;

/**
 * Whether a manifest carries a bundle. Its own word is taken, not that of an index that lists it, since cosign and some
 * registries write another type there.
 */
export function isBundleManifest({ artifactType, layers }: ImageManifest): boolean {
  return (
    artifactType?.startsWith(ANY_BUNDLE) === true ||
    layers[0]?.mediaType.startsWith(ANY_BUNDLE) === true
  );
}

/** Whether a referrer is a signature, in either form, by what a list of them says of it. */
export function isSignature({ artifactType }: Descriptor): boolean {
  return artifactType?.startsWith(ANY_BUNDLE) === true || artifactType === SIGNATURE_ARTIFACT;
}

/** What the store has beside an image. @throws LktError IO_FAILED, DIGEST_MISMATCH */
export async function collectFromStore(store: Store, subject: Digest): Promise<Evidence> {
  const collector = new Collector({
    manifest: async (descriptor) => store.readBytes(descriptor),
    blob: async (descriptor, limit) => store.readBytes(descriptor, limit),
  });
  await collector.addReferrers(subject, await store.referrers(subject));
  return collector.evidence();
}

/**
 * What a registry has beside an image: referrers, whether it has the API or a tag in its place, and the tags of cosign 2
 * (`.sig`, `.att`).
 * @throws LktError as the registry does: what cannot be asked for is not taken for nothing
 */
export async function collectFromRegistry(
  registry: RegistryReader,
  image: Reference & { readonly digest: Digest },
  signal?: AbortSignal,
): Promise<Evidence> {
  const { domain, path, digest } = image;
  const repository = { domain, path };
  const collector = new Collector({
    manifest: async (descriptor) =>
      (await registry.fetchManifest({ ...repository, digest: descriptor.digest }, signal)).bytes,
    blob: async (descriptor, limit) =>
      registry.fetchBlob(repository, descriptor, { limit, signal }),
  });
  const tag = `sha256-${digestHex(digest)}`;
  const listed = await registry.referrers({ ...repository, digest }, undefined, signal);
  // A registry that has learned the API may still have what was pushed before under the tag.
  const tagged = await manifestAt(registry, { ...repository, tag }, signal);
  const isIndex = tagged !== undefined && isIndexType(tagged.descriptor.mediaType);
  const more = isIndex ? parseIndex(tagged.bytes).manifests : [];
  const all = new Map([...listed, ...more].map((item) => [item.digest, item]));
  await collector.addReferrers(digest, [...all.values()]);
  for (const suffix of ['sig', 'att'] as const) {
    const found = await manifestAt(registry, { ...repository, tag: `${tag}.${suffix}` }, signal);
    if (found === undefined) continue;
    const source = `${tag}.${suffix}`;
    await collector.reading(source, async () =>
      collector.addLayers(source, parseManifest(found.bytes)),
    );
  }
  return collector.evidence();
}

async function manifestAt(
  registry: RegistryReader,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<{ descriptor: Descriptor; bytes: Buffer } | undefined> {
  try {
    return await registry.fetchManifest(reference, signal);
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

interface Source {
  readonly manifest: (descriptor: Descriptor) => Promise<Buffer>;
  readonly blob: (descriptor: Descriptor, limit: number) => Promise<Buffer>;
}

class Collector {
  readonly #source: Source;
  readonly #items: EvidenceItem[] = [];
  readonly #unreadable: { source: string; reason: string }[] = [];
  #size = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  evidence(): Evidence {
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
        // An index of referrers is anybody's word.
        if (manifest.subject?.digest !== subject) throw new Unusable('it is about another image');
        if (isBundleManifest(manifest)) await this.#addBundle(source, manifest);
        else await this.addLayers(source, manifest);
      });
    }
  }

  /** The layers that are signatures or attestations as cosign 2 has them; others are something else. */
  async addLayers(source: string, { layers }: ImageManifest): Promise<void> {
    if (layers.length > MAX_LAYERS)
      throw new Unusable(`it has ${layers.length} layers, more than ${MAX_LAYERS}`);
    for (const [index, layer] of layers.entries()) {
      const isPayload = layer.mediaType === SIMPLE_SIGNING;
      if (!isPayload && layer.mediaType !== DSSE_ENVELOPE) continue;
      const place = layers.length === 1 ? source : `${source}, layer ${index + 1}`;
      await this.reading(place, async () => {
        const limit = isPayload ? MAX_PAYLOAD : MAX_ENVELOPE;
        const bytes = await this.#blob(layer, limit);
        const { annotations = {} } = layer;
        const kind = isPayload ? 'signature' : 'attestation';
        this.#items.push({ kind, source: place, bytes, annotations });
      });
    }
  }

  async #addBundle(source: string, { layers }: ImageManifest): Promise<void> {
    const [layer, ...more] = layers;
    if (layer === undefined || more.length > 0) throw new Unusable('it does not carry one bundle');
    const bytes = await this.#blob(layer, MAX_BUNDLE);
    this.#items.push({ kind: 'bundle', source, bytes });
  }

  async #blob(layer: Descriptor, limit: number): Promise<Buffer> {
    if (this.#size + layer.size > MAX_TOTAL)
      throw new Unusable(`there is more than ${MAX_TOTAL / 2 ** 20} MiB beside the image`);
    const bytes = await this.#source.blob(layer, limit);
    this.#size += bytes.length;
    return bytes;
  }

  /** What is broken by whoever wrote it is noted; what could not be asked for ends all. */
  async reading(source: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      const isContent =
        error instanceof Unusable ||
        (error instanceof LktError &&
          ['DIGEST_MISMATCH', 'IMAGE_INVALID', 'NOT_FOUND'].includes(error.code));
      if (!isContent) throw error;
      this.#unreadable.push({ source, reason: error.message });
    }
  }
}
