import { type Digest, LktError, silentReporter } from '@lkt/core';
import { createHttpClient, type HttpClient, isLoopback } from '@lkt/http';
import { type Descriptor, formatReference, type Reference, type Store } from '@lkt/oci';
import type { Authorizer } from './auth/authorizer.ts';
import { findCredentials } from './auth/credentials.ts';
import { type Artifact, pushArtifact } from './artifact.ts';
import { Limit } from './limit.ts';
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
import { type Pushed, pushImage, type PushOptions } from './push.ts';
import { forgetReferrer, listReferrers } from './referrers.ts';
import { authorizerFor, Remote, warnOnce } from './remote.ts';
import { findServer, type Server } from './server.ts';
import {
  type Merged,
  mergeIndex,
  type MergeOptions,
  type Tagged,
  taggedImages,
  tagManifest,
} from './tag-index.ts';
import { listTags } from './tags.ts';

/**
 * Registries, as the OCI distribution spec has them: every one that a reference can name.
 *
 * All methods throw LktError: NOT_FOUND, ACCESS_DENIED, NETWORK_FAILED, DIGEST_MISMATCH (what came is not what the
 * digest names), IMAGE_INVALID, UNSUPPORTED, CONFIG_INVALID (files with credentials).
 */
export interface Registry extends AsyncDisposable {
  /** What a tag stands for, or whether a digest is there. */
  resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor>;
  /** A manifest or index, checked. */
  fetchManifest(reference: Reference, signal?: AbortSignal): Promise<Manifest>;
  /** A blob of at most `limit` bytes (default 4 MiB), checked. */
  fetchBlob(
    repository: Reference,
    blob: Descriptor,
    options?: { limit?: number; signal?: AbortSignal | undefined },
  ): Promise<Buffer>;
  /**
   * Brings an image into the store, which then has all of it that is for the platforms. What is there is not asked
   * for again; by digest, nothing is asked at all when all is there. No name is given to it.
   */
  pullImage(store: Store, reference: Reference, options?: PullOptions): Promise<Descriptor>;
  /** Brings one blob into the store, unless it is there. */
  pullBlob(
    store: Store,
    repository: Reference,
    blob: Descriptor,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Brings an image of the store to the registry. What is there is not sent again; what breaks goes on. */
  pushImage(
    store: Store,
    descriptor: Descriptor,
    reference: Reference,
    options?: PushOptions,
  ): Promise<Pushed>;
  /** Puts an artifact into a repository, by digest or by the tag of `repository`. */
  pushArtifact(
    repository: Reference,
    artifact: Artifact,
    signal?: AbortSignal,
  ): Promise<Descriptor>;
  /** The manifests about `subject`, of this type if one is given; sorted by digest. */
  referrers(
    subject: Reference & { readonly digest: Digest },
    artifactType?: string,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]>;
  /**
   * Makes a tag an index of images that are in the repository and of what it has for other platforms.
   * @throws LktError TAG_TAKEN when it has another image for one of the platforms
   */
  mergeIndex(
    reference: Reference & { readonly tag: string },
    images: readonly Descriptor[],
    options?: MergeOptions,
  ): Promise<Merged>;
  /** Gives a manifest of the repository a tag. @throws LktError TAG_TAKEN when it stands for another one */
  tagManifest(
    reference: Reference & { readonly tag: string },
    descriptor: Descriptor,
    options?: Omit<MergeOptions, 'compare'>,
  ): Promise<Tagged>;
  /** The images behind a tag, each with its platform; none when there is no such tag. */
  taggedImages(reference: Reference, signal?: AbortSignal): Promise<readonly Descriptor[]>;
  /** The tags of a repository, sorted. */
  tags(repository: Reference, signal?: AbortSignal): Promise<readonly string[]>;
  /** Deletes a manifest by digest, with all its tags, or a tag alone. */
  delete(reference: Reference, signal?: AbortSignal): Promise<void>;
  /**
   * The mirrors of a registry, each as if it were the registry: what it says of a tag or of referrers is no more than its
   * word. They share the connections of this one, and end with it.
   */
  mirrors(domain: string): readonly RegistryReader[];
}

/** What can be asked of a registry, or of one that stands for it. */
export type RegistryReader = Pick<
  Registry,
  'resolve' | 'fetchManifest' | 'fetchBlob' | 'pullBlob' | 'referrers'
>;

/** Connections are made when they are needed, and kept until disposal. */
export function createRegistry(options: RegistryOptions = {}): Registry {
  return new Client(options);
}

const CONCURRENCY = 3;

type FindRemote = (reference: Reference) => Promise<Remote>;

class Client implements Registry {
  readonly #only: FindRemote | undefined;
  readonly #options: RegistryOptions;
  readonly #http: HttpClient;
  readonly #limit: Limit;
  readonly #servers = new Map<string, Promise<{ server: Server; authorizer: Authorizer }>>();
  readonly #warn: (text: string) => void;

  /** @param only where it asks, whatever the registry */
  constructor(options: RegistryOptions, only?: { http: HttpClient; remote: FindRemote }) {
    this.#options = options;
    this.#only = only?.remote;
    this.#http = only?.http ?? createHttpClient({ userAgent: 'lkt', ...options });
    this.#limit = new Limit(options.concurrency ?? CONCURRENCY);
    this.#warn = warnOnce(options.reporter ?? silentReporter);
  }

  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    const remote = await this.#remote(reference);
    return found(await headManifest(remote, reference, signal), reference);
  }

  async fetchManifest(reference: Reference, signal?: AbortSignal): Promise<Manifest> {
    const remote = await this.#remote(reference);
    const { descriptor, bytes } = found(await getManifest(remote, reference, signal), reference);
    return { descriptor, bytes };
  }

  async fetchBlob(
    repository: Reference,
    { digest, size }: Descriptor,
    { limit = MAX_MANIFEST, signal }: { limit?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<Buffer> {
    const remote = await this.#remote(repository);
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
  ): Promise<Pushed> {
    const context = {
      remote: await this.#remote(reference),
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
    return pushArtifact(await this.#remote(repository), repository, artifact, signal);
  }

  async referrers(
    subject: Reference & { readonly digest: Digest },
    artifactType?: string,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const list = await listReferrers(await this.#remote(subject), subject, artifactType, signal);
    return list.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  async mergeIndex(
    reference: Reference & { readonly tag: string },
    images: readonly Descriptor[],
    options: MergeOptions = {},
  ): Promise<Merged> {
    return mergeIndex(await this.#remote(reference), reference, images, options);
  }

  async tagManifest(
    reference: Reference & { readonly tag: string },
    descriptor: Descriptor,
    options: Omit<MergeOptions, 'compare'> = {},
  ): Promise<Tagged> {
    return tagManifest(await this.#remote(reference), reference, descriptor, options);
  }

  async taggedImages(reference: Reference, signal?: AbortSignal): Promise<readonly Descriptor[]> {
    return taggedImages(await this.#remote(reference), reference, signal);
  }

  async tags(repository: Reference, signal?: AbortSignal): Promise<readonly string[]> {
    const { domain, path } = repository;
    return listTags(await this.#remote(repository), formatReference({ domain, path }), signal);
  }

  async delete(reference: Reference, signal?: AbortSignal): Promise<void> {
    const remote = await this.#remote(reference);
    const { domain, path, digest } = reference;
    if (digest === undefined) {
      await deleteManifest(remote, reference, signal);
      return;
    }
    const name = { domain, path, digest };
    const manifest = found(await getManifest(remote, name, signal), name);
    await deleteManifest(remote, name, signal);
    const { subject } = parseDocument(manifest, formatReference(name));
    if (subject !== undefined) await forgetReferrer(remote, name, digest, subject, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  mirrors(domain: string): readonly RegistryReader[] {
    return this.#mirrorsOf(domain).map(({ url }) => {
      const remote: FindRemote = async ({ path }) => this.#mirror(path, domain, url);
      return new Client(this.#options, { http: this.#http, remote });
    });
  }

  #pulling(reference: Reference): PullContext {
    return {
      remotes: (isByDigest: boolean) => this.#remotes(reference, isByDigest),
      limit: this.#limit,
      reporter: this.#options.reporter ?? silentReporter,
    };
  }

  async #remote(reference: Reference): Promise<Remote> {
    if (this.#only !== undefined) return this.#only(reference);
    const { domain, path } = reference;
    const { server, authorizer } = await this.#server(domain);
    return new Remote(path, server, authorizer, { warn: this.#warn });
  }

  /** The mirrors that may answer, and the registry itself, each found out about when it is its turn. */
  #remotes(reference: Reference, isByDigest: boolean): (() => Promise<Remote>)[] {
    const { domain, path } = reference;
    const mirrors = this.#only === undefined ? this.#mirrorsOf(domain) : [];
    return [
      ...mirrors
        .filter(({ resolvesTags }) => isByDigest || resolvesTags === true)
        .map(
          ({ url }) =>
            async () =>
              this.#mirror(path, domain, url),
        ),
      async () => this.#remote(reference),
    ];
  }

  #mirrorsOf(domain: string): NonNullable<RegistryOptions['mirrors']>[string] {
    const { mirrors = {} } = this.#options;
    return mirrors[domain] ?? mirrors['*'] ?? [];
  }

  async #mirror(path: string, domain: string, url: string): Promise<Remote> {
    const { server, authorizer } = await this.#mirrorServer(url);
    return new Remote(path, server, authorizer, { namespace: domain, warn: this.#warn });
  }

  async #server(domain: string): Promise<{ server: Server; authorizer: Authorizer }> {
    const known = this.#servers.get(domain);
    if (known !== undefined) return known;
    const made = findServer(domain, this.#http, this.#options).then((server) => ({
      server,
      authorizer: this.#authorizer(server, domain),
    }));
    this.#servers.set(domain, made);
    made.catch(() => this.#servers.delete(domain));
    return made;
  }

  /** A mirror gets the credentials for its own name, never those of the registry it stands for. */
  async #mirrorServer(address: string): Promise<{ server: Server; authorizer: Authorizer }> {
    const known = this.#servers.get(address);
    if (known !== undefined) return known;
    const server = {
      base: checkedMirror(address, this.#options),
      http: this.#http,
      patience: this.#options,
    };
    const made = { server, authorizer: this.#authorizer(server, new URL(address).host) };
    this.#servers.set(address, Promise.resolve(made));
    return made;
  }

  #authorizer(server: Server, domain: string): Authorizer {
    const { env = {} } = this.#options;
    return authorizerFor(server, async (path) => findCredentials(domain, path, env));
  }
}

function found<T>(value: T | undefined, reference: Reference): T {
  if (value !== undefined) return value;
  throw new LktError('NOT_FOUND', `${formatReference(reference)} is not in the registry`, {
    fix: 'look at its name and tag, and whether it has been pushed',
  });
}

function checkedMirror(address: string, { insecure = [] }: RegistryOptions): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isSafe =
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' && (isLoopback(url.hostname) || insecure.includes(url.host)));
  if (isSafe) return address.replace(/\/+$/, '');
  throw new LktError('CONFIG_INVALID', 'a mirror is not an address of https', {
    fix: 'write it as https://mirror.example',
  });
}
