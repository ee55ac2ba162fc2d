import {
  type Digest,
  KeyedMutex,
  LktError,
  mapConcurrent,
  type Reporter,
  reportStep,
  type Semaphore,
} from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  isManifestType,
  parseImageConfig,
  type Platform,
  platformMatches,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { BlobSources } from './blob-sources.ts';
import {
  getManifest,
  headManifest,
  type Manifest,
  parseDocument,
  typeInside,
} from './manifests.ts';
import type { Remote } from './remote.ts';
import { notInRegistry, tryRemotes } from './try-remotes.ts';

/** Pulls of one blob into one store run one after another. */
const pulls = new KeyedMutex();

/** Options of a pull. */
export interface PullOptions {
  /** Platforms to pull from an index; default all. */
  readonly platforms?: readonly Platform[];
  readonly signal?: AbortSignal | undefined;
}

/** The environment of a pull. */
export interface PullContext {
  /** The sources in order of preference: mirrors, then the registry. */
  readonly remotes: (
    isByDigest: boolean,
    signal: AbortSignal | undefined,
  ) => readonly (() => Promise<Remote>)[];
  readonly limit: Semaphore;
  readonly reporter: Reporter;
  readonly sources: BlobSources;
}

/** The download of one blob. */
interface Transfer {
  readonly onBytes: (count: number) => void;
  /** Called before the wait for the disk, during which another download can run. */
  readonly onVerified: () => void;
  readonly signal: AbortSignal | undefined;
}

/** Maximum bytes of the manifests of one image, which are in memory until all is pulled. */
const MAX_MANIFEST_BYTES = 16 * 2 ** 20;

/** Maximum nesting of indexes. */
const MAX_DEPTH = 3;

/** The pull of an image or blob of a repository. Manifests are written after their content. */
export class Pull {
  readonly #context: PullContext;
  readonly #store: Store;
  readonly #reference: Reference;
  readonly #options: PullOptions;
  readonly #name: string;
  readonly #availablePlatforms = new Set<string>();
  /** The missing blobs, and the missing manifests, children first. */
  readonly #blobs = new Map<Digest, Descriptor>();
  readonly #manifests = new Map<Digest, Manifest>();
  /** Digests with depth and platform: an index may list an image many times. */
  readonly #seen = new Set<string>();
  #manifestBytes = 0;
  #matches = 0;

  constructor(context: PullContext, store: Store, reference: Reference, options: PullOptions) {
    this.#context = context;
    this.#store = store;
    this.#reference = reference;
    this.#options = options;
    this.#name = formatReference(reference);
  }

  /** Pulls the image unless present. */
  async run(): Promise<Descriptor> {
    const id = `pull ${this.#name}`;
    const title = `pull ${familiarReference(this.#reference)}`;
    return reportStep(
      this.#context.reporter,
      { id, title },
      async () => this.#pull(id),
      () => this.#blobs.size + this.#manifests.size === 0,
    );
  }

  async #pull(id: string): Promise<Descriptor> {
    const top = await this.#resolve();
    await this.#collect(top, MAX_DEPTH, undefined);
    if (this.#matches === 0) throw this.#platformError();
    // Longest first, so that none of them runs alone at the end.
    const missing = [...this.#blobs.values()].toSorted((one, other) => other.size - one.size);
    const total = missing.reduce((sum, { size }) => sum + size, 0);
    let current = 0;
    const onBytes = (count: number): void => {
      current += count;
      this.#context.reporter.emit({ kind: 'progress', id, current, total, unit: 'bytes' });
    };
    await mapConcurrent(missing, async (blob, signal) => this.#fetch(blob, onBytes, signal), {
      signal: this.#options.signal,
    });
    for (const { bytes, descriptor } of this.#manifests.values())
      await this.#store.writeBytes(bytes, descriptor.digest);
    return top;
  }

  /** Pulls one blob unless present. */
  async blob(blob: Descriptor): Promise<void> {
    if ((await this.#store.size(blob.digest)) === blob.size) return;
    await this.#fetch(blob, () => undefined, this.#options.signal);
  }

  /** Returns the descriptor of the reference. A digest in the store needs no request. */
  async #resolve(): Promise<Descriptor> {
    const { digest } = this.#reference;
    if (digest !== undefined) return (await this.#manifest({ digest })).descriptor;
    return this.#tryRemotes(false, this.#options.signal, async (remote) =>
      headManifest(remote, this.#reference),
    );
  }

  async #collect(
    descriptor: Descriptor,
    depth: number,
    platform: Platform | undefined,
  ): Promise<void> {
    const key = `${descriptor.digest} ${depth} ${platform && formatPlatform(platform)}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const manifest = this.#manifests.get(descriptor.digest) ?? (await this.#manifest(descriptor));
    const name = `${this.#name} (${descriptor.digest})`;
    // As the index states it; the registry may serve it as something else.
    const document = parseDocument({ ...manifest, descriptor }, name);
    if ('manifests' in document) {
      if (depth === 0) throw new LktError('IMAGE_INVALID', `${name} is nested too deeply`);
      for (const item of this.#wanted(document))
        await this.#collect(item, depth - 1, item.platform ?? platform);
    } else {
      await this.#collectImage(document, platform);
    }
    await this.#keep(manifest);
  }

  /** Keeps a missing manifest, after those in it, until its content is there. */
  async #keep(manifest: Manifest): Promise<void> {
    const { digest, size } = manifest.descriptor;
    if (this.#manifests.has(digest) || (await this.#store.has(digest))) return;
    this.#manifestBytes += size;
    if (this.#manifestBytes > MAX_MANIFEST_BYTES)
      throw new LktError(
        'IMAGE_INVALID',
        `${this.#name} has more than ${MAX_MANIFEST_BYTES} bytes of manifests`,
      );
    this.#manifests.set(digest, manifest);
  }

  #wanted({ manifests }: ImageIndex): Descriptor[] {
    const { platforms } = this.#options;
    return manifests.filter(({ mediaType, platform }) => {
      if (!isIndexType(mediaType) && !isManifestType(mediaType)) return false;
      if (platforms === undefined || platform === undefined) return true;
      if (platform.os !== 'unknown') this.#availablePlatforms.add(formatPlatform(platform));
      return platforms.some((wanted) => platformMatches(platform, wanted));
    });
  }

  async #collectImage(
    { config, layers }: ImageManifest,
    platform: Platform | undefined,
  ): Promise<void> {
    const { platforms } = this.#options;
    // Without a platform in an index, only the config states it.
    if (platforms !== undefined && platform === undefined && /image/.test(config.mediaType)) {
      await this.#fetch(config, () => undefined, this.#options.signal);
      const imageConfig = parseImageConfig(await this.#store.readBytes(config));
      this.#availablePlatforms.add(formatPlatform(imageConfig));
      if (!platforms.some((wanted) => platformMatches(imageConfig, wanted))) return;
    }
    this.#matches += 1;
    for (const blob of [config, ...layers])
      if ((await this.#store.size(blob.digest)) !== blob.size) this.#blobs.set(blob.digest, blob);
  }

  async #manifest(descriptor: Pick<Descriptor, 'digest'> & Partial<Descriptor>): Promise<Manifest> {
    const { digest, size } = descriptor;
    const found = await this.#storedOrServed(descriptor);
    if (size !== undefined && size !== found.descriptor.size)
      throw new LktError(
        'DIGEST_MISMATCH',
        `${digest} of ${this.#name} does not have ${size} bytes`,
      );
    return found;
  }

  async #storedOrServed({
    digest,
    mediaType,
  }: Pick<Descriptor, 'digest'> & Partial<Descriptor>): Promise<Manifest> {
    if (await this.#store.has(digest)) {
      const bytes = await this.#store.readBytes({ digest });
      const known = mediaType ?? typeInside(bytes);
      return { descriptor: { mediaType: known, digest, size: bytes.length }, bytes };
    }
    return this.#tryRemotes(true, this.#options.signal, async (remote) =>
      getManifest(remote, { digest }),
    );
  }

  /** Fetches a blob once, even if several callers request it. */
  async #fetch(
    blob: Descriptor,
    onBytes: (count: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await pulls.run(`${this.#store.dir} ${blob.digest}`, async () => {
      signal?.throwIfAborted();
      if ((await this.#store.size(blob.digest)) === blob.size) onBytes(blob.size);
      else
        await this.#context.limit.run(async (release) =>
          this.#fetchLocked(blob, { onBytes, onVerified: release, signal }),
        );
    });
    this.#context.sources.add(this.#reference, blob.digest);
  }

  /** As `#fetch`, among processes: waits while another one downloads the blob, however long. */
  async #fetchLocked(blob: Descriptor, transfer: Transfer): Promise<void> {
    const { onBytes, signal } = transfer;
    const fetch = async (): Promise<void> => {
      if ((await this.#store.size(blob.digest)) === blob.size) onBytes(blob.size);
      else await this.#download(blob, transfer);
    };
    const waiting = { timeoutMs: Infinity, ...(signal === undefined ? {} : { signal }) };
    await this.#store.withLock(`pull ${blob.digest}`, fetch, waiting);
  }

  async #download(
    { digest, size }: Descriptor,
    { onBytes, onVerified, signal }: Transfer,
  ): Promise<void> {
    await this.#tryRemotes(true, signal, async (remote) => {
      let received = 0;
      try {
        const count = (bytes: number): void => {
          received += bytes;
          onBytes(bytes);
        };
        const options = { size, onBytes: count, canReuseBuffers: true };
        const content = await remote.download(digest, options);
        const expected = { digest, size, canHashInThread: true, onVerified };
        return await this.#store.write(content, expected, signal);
      } catch (error) {
        onBytes(-received);
        throw explain(error, `blob ${digest} of ${this.#name}`, remote);
      }
    });
  }

  async #tryRemotes<T>(
    isByDigest: boolean,
    signal: AbortSignal | undefined,
    ask: (remote: Remote) => Promise<T | undefined>,
  ): Promise<T> {
    const remotes = this.#context.remotes(isByDigest, signal);
    const found = await tryRemotes(remotes, signal, ask);
    if (found === undefined) throw notInRegistry(this.#name);
    return found;
  }

  #platformError(): LktError {
    const wanted = (this.#options.platforms ?? []).map(formatPlatform).join(', ');
    const list = [...this.#availablePlatforms].toSorted().join(', ');
    return new LktError(
      'NOT_FOUND',
      `${this.#name} is not available for ${wanted}, only for ${list === '' ? 'unknown platforms' : list}`,
    );
  }
}

function explain(error: unknown, what: string, remote: Remote): unknown {
  if (!(error instanceof LktError)) return error;
  const { host } = remote.base;
  if (error.code === 'DIGEST_MISMATCH')
    return new LktError('DIGEST_MISMATCH', `${host} returned wrong content for ${what}`, {
      cause: error,
      fix: 'do not trust this registry',
    });
  if (error.code === 'NOT_FOUND')
    return new LktError('NOT_FOUND', `${host} does not have ${what}`, { cause: error });
  return error;
}
