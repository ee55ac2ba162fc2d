import { type Digest, LktError, Semaphore, silentReporter } from '@lkt/core';
import { createHttpClient, type HttpClient } from '@lkt/http';
import {
  type Descriptor,
  familiarReference,
  formatReference,
  type Reference,
  type Store,
} from '@lkt/oci';
import { BlobSources } from './blob-sources.ts';
import { getManifest, headManifest, type Manifest, MAX_MANIFEST } from './manifests.ts';
import type { RegistryOptions } from './options.ts';
import { Pull, type PullOptions } from './pull.ts';
import { Push, type PushOptions, type PushResult } from './push.ts';
import { listReferrers, queryReferrersApi } from './referrers.ts';
import type { Remote } from './remote.ts';
import { type RemoteSource, Remotes, requireRegistry } from './remotes.ts';
import {
  mergeIndex,
  type MergeOptions,
  type MergeResult,
  taggedImages,
  tagManifest,
  type TagResult,
} from './tag-index.ts';
import { listTags } from './tags.ts';
import { notInRegistry, tryRemotes } from './try-remotes.ts';

/**
 * Returns a client of registries. It connects on demand; dispose it to close the connections.
 * @example
 * ```ts
 * await using registry = createRegistry({ env: process.env });
 * const reference = parseReference('alpine:3.22');
 * await registry.pullImage(store, reference, { platforms: [parsePlatform('linux/amd64')] });
 * ```
 */
export function createRegistry(options: RegistryOptions = {}): Registry {
  const http = createHttpClient({ ...options, userAgent: options.userAgent ?? 'lkt' });
  return new Registry(options, http, new Remotes(http, options));
}

/** Default of `concurrency`. */
const CONCURRENCY = 6;

type Tagged = Reference & { readonly tag: string };

/**
 * A client of all registries, per the OCI distribution-spec.
 *
 * All methods throw NOT_FOUND, ACCESS_DENIED, NETWORK_FAILED, DIGEST_MISMATCH (content does not
 * match its digest), IMAGE_INVALID, UNSUPPORTED, CONFIG_INVALID (credential files).
 */
export class Registry implements AsyncDisposable {
  readonly #options: RegistryOptions;
  readonly #http: HttpClient;
  readonly #remotes: Remotes;
  readonly #source: RemoteSource;
  readonly #limit: Semaphore;
  readonly #blobSources: BlobSources = new BlobSources();
  /** Errors of registries that could not be reached, by domain. */
  readonly #unreachable = new Map<string, LktError>();

  /** @param source the source of requests: `remotes`, or one of their mirrors */
  constructor(
    options: RegistryOptions,
    http: HttpClient,
    remotes: Remotes,
    source: RemoteSource = remotes,
  ) {
    this.#options = options;
    this.#http = http;
    this.#remotes = remotes;
    this.#source = source;
    this.#limit = new Semaphore(options.concurrency ?? CONCURRENCY);
  }

  /** Returns the descriptor of a tag or digest. Asks mirrors first for a digest. */
  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    return this.#ask(reference, signal, async (remote) => headManifest(remote, reference));
  }

  /**
   * Returns the descriptor of a tag: the registry's, or, if the registry cannot be reached, that of
   * a mirror, with a warning.
   */
  async resolveTag(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    const { domain } = requireRegistry(reference);
    const mirrors = this.mirrors(domain);
    let unreachable = this.#unreachable.get(domain);
    if (unreachable === undefined) {
      try {
        return await this.resolve(reference, signal);
      } catch (error) {
        const isUnreachable = error instanceof LktError && error.code === 'NETWORK_FAILED';
        if (!isUnreachable || mirrors.length === 0) throw error;
        signal?.throwIfAborted();
        unreachable = error;
        this.#unreachable.set(domain, error);
      }
    }
    for (const mirror of mirrors) {
      try {
        const found = await mirror.resolve(reference, signal);
        const text = `${domain} cannot be reached: the digest of ${familiarReference(reference)} is from a mirror`;
        this.#options.reporter?.emit({ kind: 'warning', text });
        return found;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof LktError)) throw error;
      }
    }
    throw unreachable;
  }

  /** Returns a manifest or index, verified. Asks mirrors first for a digest. */
  async fetchManifest(reference: Reference, signal?: AbortSignal): Promise<Manifest> {
    return this.#ask(reference, signal, async (remote) => getManifest(remote, reference));
  }

  /** Returns a blob of at most `limit` bytes (default 4 MiB), verified. */
  async fetchBlob(
    repository: Reference,
    blob: Descriptor,
    { limit = MAX_MANIFEST, signal }: { limit?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<Buffer> {
    return (await this.#source.remote(repository, signal)).readBlob(blob, limit);
  }

  /**
   * Pulls an image into the store, completely for the platforms, and returns its descriptor.
   * Requests only missing content; an image by digest that is complete needs no request. Does not
   * tag it.
   */
  async pullImage(
    store: Store,
    reference: Reference,
    options: PullOptions = {},
  ): Promise<Descriptor> {
    return this.#pull(store, reference, options).run();
  }

  /** Pulls one blob into the store unless present. */
  async pullBlob(
    store: Store,
    { domain, path }: Reference,
    blob: Descriptor,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#pull(store, { domain, path }, { signal }).blob(blob);
  }

  /** Pushes an image of the store. Sends only missing content, and resumes broken uploads. */
  async pushImage(
    store: Store,
    descriptor: Descriptor,
    reference: Reference,
    options: PushOptions = {},
  ): Promise<PushResult> {
    const context = {
      remote: await this.#source.remote(reference, options.signal),
      limit: this.#limit,
      chunkSize: this.#options.chunkSize,
      reporter:
        options.isPart === true ? silentReporter : (this.#options.reporter ?? silentReporter),
      sources: this.#blobSources,
    };
    return new Push(context, store, reference, options).run(descriptor);
  }

  /** Returns the referrers of `subject`, sorted by digest. */
  async referrers(
    subject: Reference & { readonly digest: Digest },
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const list = await listReferrers(await this.#source.remote(subject, signal), subject.digest);
    return list.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  /** As `referrers`, only by the API; undefined if the registry lacks it. */
  async queryReferrers(
    subject: Reference & { readonly digest: Digest },
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[] | undefined> {
    return queryReferrersApi(await this.#source.remote(subject, signal), subject.digest);
  }

  /**
   * Makes a tag an index of images of the repository, merged with the tag's images for other
   * platforms.
   * @throws TAG_TAKEN if the tag has another image for one of the platforms
   */
  async mergeIndex(
    reference: Tagged,
    images: readonly Descriptor[],
    options: MergeOptions = {},
  ): Promise<MergeResult> {
    const remote = await this.#source.remote(reference, options.signal);
    return mergeIndex(remote, reference.tag, images, options);
  }

  /**
   * Tags a manifest of the repository.
   * @throws TAG_TAKEN if the tag refers to another one
   */
  async tagManifest(
    reference: Tagged,
    descriptor: Descriptor,
    options: Omit<MergeOptions, 'compare'> = {},
  ): Promise<TagResult> {
    const remote = await this.#source.remote(reference, options.signal);
    return tagManifest(remote, reference.tag, descriptor, options);
  }

  /** Returns the images of a tag, each with its platform; empty if the tag does not exist. */
  async taggedImages(reference: Reference, signal?: AbortSignal): Promise<readonly Descriptor[]> {
    return taggedImages(await this.#source.remote(reference, signal), reference);
  }

  /** Returns the tags of a repository, sorted. */
  async tags(repository: Reference, signal?: AbortSignal): Promise<readonly string[]> {
    return listTags(await this.#source.remote(repository, signal));
  }

  /**
   * Returns the mirrors of a registry, each usable in its place; none without a registry. Do not
   * trust their tags and referrers. They share the connections of this client and end with it.
   */
  mirrors(domain: string | undefined): readonly RegistryReader[] {
    const mirrors = this.#remotes.mirrors(domain);
    return mirrors.map((source) => new Registry(this.#options, this.#http, this.#remotes, source));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  /** @throws NOT_FOUND if no source has the reference */
  async #ask<T>(
    reference: Reference,
    signal: AbortSignal | undefined,
    ask: (remote: Remote) => Promise<T | undefined>,
  ): Promise<T> {
    const remotes = this.#source.remotes(reference, reference.digest !== undefined, signal);
    const found = await tryRemotes(remotes, signal, ask);
    if (found === undefined) throw notInRegistry(formatReference(reference));
    return found;
  }

  #pull(store: Store, reference: Reference, options: PullOptions): Pull {
    const context = {
      remotes: (isByDigest: boolean, signal: AbortSignal | undefined) =>
        this.#source.remotes(reference, isByDigest, signal),
      limit: this.#limit,
      reporter: this.#options.reporter ?? silentReporter,
      sources: this.#blobSources,
    };
    return new Pull(context, store, reference, options);
  }
}

/** The read-only operations of a registry or mirror. */
export type RegistryReader = Pick<
  Registry,
  'resolve' | 'fetchManifest' | 'fetchBlob' | 'pullBlob' | 'queryReferrers'
>;
