import { type Digest, LktError, mapConcurrent, uniqueBy } from '@lkt/core';
import {
  CONTENT_ERRORS,
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
import {
  findManifest,
  listedReferrers,
  referrersTag,
  taggedReferrers,
} from './registry-referrers.ts';
import { reasonLine, VerificationError } from '../verify/verification-error.ts';

/** Maximum bytes of a bundle or envelope. One with an SBOM has some MB. */
export const MAX_BUNDLE_BYTES: number = 64 * 2 ** 20;
const MAX_PAYLOAD_BYTES = 64 * 1024;

/** Bounds the work: a party with write access could add any number of referrers. */
export const MAX_REFERRERS = 2000;
export const MAX_LAYERS = 200;
/** Referrers in the first part that `registrySignatures` yields. Later parts double. */
const FIRST_PART = 32;
/** Bytes. Larger layers are read last, so that they cannot use up the total size. */
const SMALL_LAYER_BYTES = 64 * 1024;
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
    canFail: false,
  });
  const referrers = await store.referrers(subject);
  await collector.addReferrers(subject, referrers.slice(0, MAX_REFERRERS));
  if (referrers.length > MAX_REFERRERS) collector.skipped(referrers.length - MAX_REFERRERS);
  await collector.addLarge();
  return collector.take();
}

/**
 * Returns the signatures that a registry has for an image: its referrers, by the API and the
 * fallback tag, and cosign 2's tags `.sig` and `.att`.
 * @throws NETWORK_FAILED, ACCESS_DENIED, IMAGE_INVALID: a failed request never counts as an empty
 * list
 */
export async function collectFromRegistry(
  registry: RegistryReader,
  image: Reference & { readonly digest: Digest },
  signal?: AbortSignal,
): Promise<CollectedSignatures> {
  const parts: CollectedSignatures[] = [];
  for await (const part of registrySignatures(registry, image, signal)) {
    const [failure] = part.failures ?? [];
    if (failure !== undefined) throw failure;
    parts.push(part);
  }
  return {
    items: parts.flatMap(({ items }) => items),
    unreadable: parts.flatMap(({ unreadable }) => unreadable),
  };
}

/**
 * Yields the signatures that a registry has for an image, in parts, so that a caller can stop at a
 * good one: most images need the first part alone. A place that cannot be read is a failure of its
 * part, and the next one follows, so that write access to the repository is not enough to hide a
 * signature.
 */
export async function* registrySignatures(
  registry: RegistryReader,
  image: Reference & { readonly digest: Digest },
  signal?: AbortSignal,
): AsyncGenerator<CollectedSignatures> {
  const { tag: _, digest, ...repository } = image;
  const collector = new Collector({
    manifest: async (descriptor) =>
      (await registry.fetchManifest({ ...repository, digest: descriptor.digest }, signal)).bytes,
    blob: async (descriptor, limit) =>
      registry.fetchBlob(repository, descriptor, { limit, signal }),
    canFail: true,
    signal,
  });
  const referrers: Descriptor[] = [];
  const readTag = (suffix: string): Place => {
    const tag = `${referrersTag(digest)}.${suffix}`;
    return async (part) => {
      const found = await findManifest(registry, { ...repository, tag }, signal);
      if (found !== undefined)
        await part.reading(tag, async () => part.addLayers(tag, parseManifest(found.bytes)));
    };
  };
  const list =
    (find: typeof listedReferrers): Place =>
    async () =>
      void referrers.push(...(await find(registry, image, signal)));
  const readPlaces = async (...places: readonly Place[]): Promise<CollectedSignatures> => {
    await collector.addAll(places, async (part, read) => read(part));
    return collector.take();
  };
  yield await readPlaces(readTag('sig'), list(listedReferrers));
  // Types in the list are only a hint, and decide nothing but the order.
  const first = uniqueReferrers(referrers).filter(isSignature).slice(0, MAX_REFERRERS);
  yield* readReferrers(collector, digest, first);
  yield await readPlaces(readTag('att'), list(taggedReferrers));
  const read = new Set(first.map((item) => item.digest));
  const others = uniqueReferrers(referrers)
    .filter((item) => !read.has(item.digest))
    .toSorted((a, b) => Number(isSignature(b)) - Number(isSignature(a)));
  const rest = others.slice(0, MAX_REFERRERS - first.length);
  if (rest.length < others.length) collector.skipped(others.length - rest.length);
  yield* readReferrers(collector, digest, rest);
  await collector.addLarge();
  yield collector.take();
}

/** A place of a registry that may have signatures, or list them. */
type Place = (part: Collector) => Promise<void>;

function uniqueReferrers(referrers: readonly Descriptor[]): readonly Descriptor[] {
  return uniqueBy(referrers, ({ digest }) => digest);
}

/** Reads referrers and yields their signatures in parts that double. */
async function* readReferrers(
  collector: Collector,
  subject: Digest,
  referrers: readonly Descriptor[],
): AsyncGenerator<CollectedSignatures> {
  for (let start = 0, size = FIRST_PART; start < referrers.length; start += size, size = start) {
    await collector.addReferrers(subject, referrers.slice(start, start + size));
    yield collector.take();
  }
}

interface Source {
  readonly manifest: (descriptor: Descriptor) => Promise<Buffer>;
  readonly blob: (descriptor: Descriptor, limit: number) => Promise<Buffer>;
  /** Whether errors of the network and of access are recorded as failures instead of thrown. */
  readonly canFail: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Items that are read at once. */
const CONCURRENCY = 8;

class Collector {
  readonly #source: Source;
  #items: UnverifiedSignature[] = [];
  #unreadable: { source: string; reason: string }[] = [];
  #failures: LktError[] = [];
  /** Bundles to read after all others. */
  readonly #large: { readonly source: string; readonly layer: Descriptor }[] = [];
  /** Shared by the collectors of one image. */
  readonly #read: { bytes: number };

  constructor(source: Source, read: { bytes: number } = { bytes: 0 }) {
    this.#source = source;
    this.#read = read;
  }

  /** Returns what was collected since the last call. */
  take(): CollectedSignatures {
    const taken = { items: this.#items, unreadable: this.#unreadable, failures: this.#failures };
    this.#items = [];
    this.#unreadable = [];
    this.#failures = [];
    return taken;
  }

  /** Records that some referrers are not read. */
  skipped(count: number): void {
    const reason = `more than ${MAX_REFERRERS} referrers: ${count} were not read`;
    this.#unreadable.push({ source: 'the list of referrers', reason });
  }

  /**
   * Reads several items at once, each into a collector of its own, and adds what these collected,
   * in the order of the items.
   */
  async addAll<T>(
    items: readonly T[],
    read: (part: Collector, item: T) => Promise<void>,
  ): Promise<void> {
    const parts = await mapConcurrent(
      items,
      async (item) => {
        const part = new Collector(this.#source, this.#read);
        await part.#trying(async () => read(part, item));
        return part;
      },
      { concurrency: CONCURRENCY, signal: this.#source.signal },
    );
    for (const part of parts) {
      this.#items.push(...part.#items);
      this.#unreadable.push(...part.#unreadable);
      this.#failures.push(...part.#failures);
      this.#large.push(...part.#large);
    }
  }

  async addReferrers(subject: Digest, referrers: readonly Descriptor[]): Promise<void> {
    const manifests = referrers.filter(({ mediaType }) => !isIndexType(mediaType));
    await this.addAll(manifests, async (part, referrer) => {
      const source = `referrer ${referrer.digest}`;
      await part.reading(source, async () => {
        const manifest = parseManifest(await this.#source.manifest(referrer));
        // Do not trust the index of referrers: the manifest must name the subject.
        if (manifest.subject?.digest !== subject)
          throw new VerificationError('about another image');
        if (isBundleManifest(manifest)) await part.#addBundle(source, manifest);
        else await part.addLayers(source, manifest);
      });
    });
  }

  /** Reads the large bundles, the smallest first. */
  async addLarge(): Promise<void> {
    for (const { source, layer } of this.#large.toSorted((a, b) => a.layer.size - b.layer.size))
      await this.#trying(async () =>
        this.reading(source, async () => this.#readBundle(source, layer)),
      );
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
    if (layer.size > SMALL_LAYER_BYTES) this.#large.push({ source, layer });
    else await this.#readBundle(source, layer);
  }

  async #readBundle(source: string, layer: Descriptor): Promise<void> {
    const bytes = await this.#blob(layer, MAX_BUNDLE_BYTES);
    this.#items.push({ kind: 'bundle', source, bytes });
  }

  async #blob(layer: Descriptor, limit: number): Promise<Buffer> {
    if (this.#read.bytes + layer.size > MAX_TOTAL_BYTES)
      throw new VerificationError(
        `the signatures of the image exceed ${MAX_TOTAL_BYTES / 2 ** 20} MiB`,
      );
    this.#read.bytes += layer.size;
    return this.#source.blob(layer, limit);
  }

  /** Runs `read` and records errors of the network, of access and of content as failures. */
  async #trying(read: () => Promise<void>): Promise<void> {
    const { canFail, signal } = this.#source;
    try {
      await read();
    } catch (error) {
      signal?.throwIfAborted();
      if (!canFail || !(error instanceof LktError)) throw error;
      this.#failures.push(error);
    }
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
      this.#unreadable.push({ source, reason: reasonLine(error.message) });
    }
  }
}
