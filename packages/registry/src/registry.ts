import type { Digest } from '@lkt/core';
import type { Descriptor, Reference, Store } from '@lkt/oci';
import type { Artifact } from './artifact.ts';
import type { Manifest } from './manifests.ts';
import type { PullOptions } from './pull.ts';
import type { Pushed, PushOptions } from './push.ts';
import type { Merged, MergeOptions, Tagged } from './tag-index.ts';

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
