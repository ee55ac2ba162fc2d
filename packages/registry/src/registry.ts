import type { Digest } from '@lkt/core';
import type { Descriptor, Reference, Store } from '@lkt/oci';
import type { Artifact } from './artifact.ts';
import type { Manifest } from './manifests.ts';
import type { PullOptions } from './pull.ts';
import type { PushResult, PushOptions } from './push.ts';
import type { MergeResult, MergeOptions, TagResult } from './tag-index.ts';

/**
 * A client of all registries, per the OCI distribution-spec.
 *
 * All methods throw NOT_FOUND, ACCESS_DENIED, NETWORK_FAILED, DIGEST_MISMATCH (content does not
 * match its digest), IMAGE_INVALID, UNSUPPORTED, CONFIG_INVALID (credential files).
 */
export interface Registry extends AsyncDisposable {
  /** Returns the descriptor of a tag or digest. */
  resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor>;
  /** Returns a manifest or index, verified. */
  fetchManifest(reference: Reference, signal?: AbortSignal): Promise<Manifest>;
  /** Returns a blob of at most `limit` bytes (default 4 MiB), verified. */
  fetchBlob(
    repository: Reference,
    blob: Descriptor,
    options?: { limit?: number; signal?: AbortSignal | undefined },
  ): Promise<Buffer>;
  /**
   * Pulls an image into the store, completely for the platforms, and returns its descriptor.
   * Requests only missing content; an image by digest that is complete needs no request. Does not
   * tag it.
   */
  pullImage(store: Store, reference: Reference, options?: PullOptions): Promise<Descriptor>;
  /** Pulls one blob into the store unless present. */
  pullBlob(
    store: Store,
    repository: Reference,
    blob: Descriptor,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Pushes an image of the store. Sends only missing content, and resumes broken uploads. */
  pushImage(
    store: Store,
    descriptor: Descriptor,
    reference: Reference,
    options?: PushOptions,
  ): Promise<PushResult>;
  /** Pushes an artifact to a repository, by digest or under the tag of `repository`. */
  pushArtifact(
    repository: Reference,
    artifact: Artifact,
    signal?: AbortSignal,
  ): Promise<Descriptor>;
  /** Returns the referrers of `subject`, sorted by digest; optionally of one artifact type. */
  referrers(
    subject: Reference & { readonly digest: Digest },
    artifactType?: string,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]>;
  /**
   * Makes a tag an index of images of the repository, merged with the tag's images for other
   * platforms.
   * @throws TAG_TAKEN if the tag has another image for one of the platforms
   */
  mergeIndex(
    reference: Reference & { readonly tag: string },
    images: readonly Descriptor[],
    options?: MergeOptions,
  ): Promise<MergeResult>;
  /**
   * Tags a manifest of the repository.
   * @throws TAG_TAKEN if the tag refers to another one
   */
  tagManifest(
    reference: Reference & { readonly tag: string },
    descriptor: Descriptor,
    options?: Omit<MergeOptions, 'compare'>,
  ): Promise<TagResult>;
  /** Returns the images of a tag, each with its platform; empty if the tag does not exist. */
  taggedImages(reference: Reference, signal?: AbortSignal): Promise<readonly Descriptor[]>;
  /** Returns the tags of a repository, sorted. */
  tags(repository: Reference, signal?: AbortSignal): Promise<readonly string[]>;
  /** Deletes a manifest by digest, with all its tags; or only a tag. */
  delete(reference: Reference, signal?: AbortSignal): Promise<void>;
  /**
   * Returns the mirrors of a registry, each usable in its place. Do not trust their tags and
   * referrers. They share the connections of this client and end with it.
   */
  mirrors(domain: string): readonly RegistryReader[];
}

/** The read-only operations of a registry or mirror. */
export type RegistryReader = Pick<
  Registry,
  'resolve' | 'fetchManifest' | 'fetchBlob' | 'pullBlob' | 'referrers'
>;
