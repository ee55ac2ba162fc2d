import { type Digest, LktError, Semaphore, silentReporter } from '@lkt/core';
import { createHttpClient, type HttpClient } from '@lkt/http';
import { type Descriptor, formatReference, type Reference, type Store } from '@lkt/oci';
import { type Artifact, pushArtifact } from './artifact.ts';
import {
  deleteManifest,
  getManifest,
  headManifest,
  type Manifest,
  MAX_MANIFEST,
  parseDocument,
} from './manifests.ts';
import type { RegistryOptions } from './options.ts';
import { pullBlob, type PullContext, pullImage, type PullOptions } from './pull.ts';
import { type PushResult, pushImage, type PushOptions } from './push.ts';
import { removeReferrer, listReferrers } from './referrers.ts';
import type { Registry, RegistryReader } from './registry.ts';
import { type RemoteSource, Remotes } from './remotes.ts';
import {
  type MergeResult,
  mergeIndex,
  type MergeOptions,
  type TagResult,
  taggedImages,
  tagManifest,
} from './tag-index.ts';
import { listTags } from './tags.ts';

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
  return new Client(options, http, new Remotes(http, options));
}

/** Default of `concurrency`. */
const CONCURRENCY = 6;

class Client implements Registry {
  readonly #options: RegistryOptions;
  readonly #http: HttpClient;
  readonly #remotes: Remotes;
  readonly #source: RemoteSource;
  readonly #limit: Semaphore;

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

  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    const remote = await this.#source.remote(reference);
    return found(await headManifest(remote, reference, signal), reference);
  }

  async fetchManifest(reference: Reference, signal?: AbortSignal): Promise<Manifest> {
    const remote = await this.#source.remote(reference);
    const { descriptor, bytes } = found(await getManifest(remote, reference, signal), reference);
    return { descriptor, bytes };
  }

  async fetchBlob(
    repository: Reference,
    { digest, size }: Descriptor,
    { limit = MAX_MANIFEST, signal }: { limit?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<Buffer> {
    const remote = await this.#source.remote(repository);
    const { domain, path } = repository;
    if (size > limit)
      throw new LktError(
        'IMAGE_INVALID',
        `blob ${digest} of ${formatReference({ domain, path })} has ${size} bytes, more than ${limit}`,
      );
    const { content } = await remote.download(digest, { size, digest, signal });
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    return Buffer.concat(parts);
  }

  async pullImage(
    store: Store,
    reference: Reference,
    options: PullOptions = {},
  ): Promise<Descriptor> {
    return pullImage(this.#pulling(reference), store, reference, options);
  }

  async pullBlob(
    store: Store,
    { domain, path }: Reference,
    blob: Descriptor,
    signal?: AbortSignal,
  ): Promise<void> {
    const repository = { domain, path };
    await pullBlob(this.#pulling(repository), store, repository, blob, { signal });
  }

  async pushImage(
    store: Store,
    descriptor: Descriptor,
    reference: Reference,
    options: PushOptions = {},
  ): Promise<PushResult> {
    const context = {
      remote: await this.#source.remote(reference),
      limit: this.#limit,
      chunkSize: this.#options.chunkSize,
      reporter: this.#options.reporter ?? silentReporter,
    };
    return pushImage(context, store, descriptor, reference, options);
  }

  async pushArtifact(
    repository: Reference,
    artifact: Artifact,
    signal?: AbortSignal,
  ): Promise<Descriptor> {
    return pushArtifact(await this.#source.remote(repository), repository, artifact, signal);
  }

  async referrers(
    subject: Reference & { readonly digest: Digest },
    artifactType?: string,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const list = await listReferrers(
      await this.#source.remote(subject),
      subject,
      artifactType,
      signal,
    );
    return list.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  async mergeIndex(
    reference: Reference & { readonly tag: string },
    images: readonly Descriptor[],
    options: MergeOptions = {},
  ): Promise<MergeResult> {
    return mergeIndex(await this.#source.remote(reference), reference, images, options);
  }

  async tagManifest(
    reference: Reference & { readonly tag: string },
    descriptor: Descriptor,
    options: Omit<MergeOptions, 'compare'> = {},
  ): Promise<TagResult> {
    return tagManifest(await this.#source.remote(reference), reference, descriptor, options);
  }

  async taggedImages(reference: Reference, signal?: AbortSignal): Promise<readonly Descriptor[]> {
    return taggedImages(await this.#source.remote(reference), reference, signal);
  }

  async tags(repository: Reference, signal?: AbortSignal): Promise<readonly string[]> {
    const { domain, path } = repository;
    return listTags(
      await this.#source.remote(repository),
      formatReference({ domain, path }),
      signal,
    );
  }

  async delete(reference: Reference, signal?: AbortSignal): Promise<void> {
    const remote = await this.#source.remote(reference);
    const { domain, path, digest } = reference;
    if (digest === undefined) {
      await deleteManifest(remote, reference, signal);
      return;
    }
    const name = { domain, path, digest };
    const manifest = found(await getManifest(remote, name, signal), name);
    await deleteManifest(remote, name, signal);
    const { subject } = parseDocument(manifest, formatReference(name));
    if (subject !== undefined) await removeReferrer(remote, name, digest, subject, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  mirrors(domain: string): readonly RegistryReader[] {
    const mirrors = this.#remotes.mirrors(domain);
    return mirrors.map((source) => new Client(this.#options, this.#http, this.#remotes, source));
  }

  #pulling(reference: Reference): PullContext {
    return {
      remotes: (isByDigest: boolean) => this.#source.remotes(reference, isByDigest),
      limit: this.#limit,
      reporter: this.#options.reporter ?? silentReporter,
    };
  }
}

function found<T>(value: T | undefined, reference: Reference): T {
  if (value !== undefined) return value;
  throw new LktError('NOT_FOUND', `${formatReference(reference)} is not in the registry`, {
    fix: 'check its name and tag, and whether it was pushed',
  });
}
