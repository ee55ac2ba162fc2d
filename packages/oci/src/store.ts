import type { Digest } from '@lkt/core';
import type { BlobInfo, BlobRef, ExpectedBlob, ReadOptions } from './blobs.ts';
import type { CacheArea } from './cache-area.ts';
import type { Descriptor } from './descriptor.ts';
import type { Inventory } from './inventory.ts';
import type { Tag } from './layout-index.ts';
import type { LockOptions } from './lock.ts';
import type { PruneResult, PruneOptions } from './prune.ts';

/**
 * Images and other blobs on disk, by digest: an OCI image layout (image-spec, image-layout.md), as LinuxKit's cache is.
 *
 * Any number of processes may use one. Whatever a process was doing when it died or the disk was full, what is in the
 * store stays whole. Content is checked each time it is read.
 */
export interface Store {
  readonly dir: string;
  has(digest: Digest): Promise<boolean>;
  size(digest: Digest): Promise<number | undefined>;
  blobPath(digest: Digest): string;
  /**
   * Whether a blob is there, in this size if one is given; then nothing but `gc` and `verify` removes it while this
   * process lives, and it counts as used now.
   */
  keep(digest: Digest, size?: number): Promise<boolean>;
  /** The same of a file or directory in the store, beside the blobs. Of a directory only the time of change changes. */
  use(path: string): Promise<boolean>;
  /** The paths of all that was kept or used. */
  readonly used: ReadonlySet<string>;
  /**
   * Streams a blob. The last chunk is given when what was read is known to be right, so nothing may be made of it before.
   * @throws LktError NOT_FOUND; DIGEST_MISMATCH in place of the last chunk
   */
  read(blob: BlobRef, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** A blob of at most `limit` bytes (default 4 MiB), checked. @throws LktError IMAGE_INVALID when it is longer */
  readBytes(blob: BlobRef, limit?: number): Promise<Buffer>;
  /**
   * Adds a blob. One that is there already is not read again when digest and size are given. Each chunk is done with
   * before the next one is asked for, so their memory may be used again.
   * @throws LktError DIGEST_MISMATCH when it is not what was expected; DISK_FULL. Neither leaves anything behind.
   */
  write(
    source: AsyncIterable<Uint8Array>,
    expected?: ExpectedBlob,
    signal?: AbortSignal,
  ): Promise<BlobInfo>;
  writeBytes(bytes: Uint8Array): Promise<BlobInfo>;
  /** The names in the store, sorted. */
  tags(): Promise<readonly Tag[]>;
  resolve(reference: string): Promise<Descriptor | undefined>;
  /** Names an image that is in the store, instead of what had the name. */
  tag(reference: string, descriptor: Descriptor): Promise<void>;
  /** Whether there was such a name. The blobs stay until `gc`. */
  untag(reference: string): Promise<boolean>;
  /**
   * Keeps manifests that refer to a subject, such as signatures and SBOMs: as entries of the layout without a name, as
   * ORAS has them. They are there for as long as their subject is.
   * @throws LktError NOT_FOUND when a manifest is not in the store
   */
  addReferrer(...manifests: readonly Descriptor[]): Promise<void>;
  /**
   * The manifests in the store that refer to `subject`, by digest; of one type, if it is given. Whoever can write into
   * the store can add one, so what they say is a claim.
   */
  referrers(subject: Digest, artifactType?: string): Promise<readonly Descriptor[]>;
  /** What refers to any image, by the digest of that image. */
  allReferrers(): Promise<ReadonlyMap<Digest, readonly Descriptor[]>>;
  /** Runs alone under this name, among all processes that use the store. */
  withLock<T>(name: string, run: () => Promise<T>, options?: LockOptions): Promise<T>;
  /** Writes a small file beside the blobs, as a whole or not at all. It may not outlast a crash of the machine. */
  putFile(path: string, text: string): Promise<void>;
  /** A directory in the store's file system, for what is renamed into place later. */
  tempDir(): Promise<AsyncDisposable & { path: string }>;
  /** Hashes every blob. */
  verify(
    options?: { remove?: boolean },
    onProgress?: (done: number, total: number) => void,
  ): Promise<{ checked: number; bad: { digest: Digest; path: string }[] }>;
  /**
   * Removes the blobs that no name leads to, and referrers whose subject is none of those that are kept.
   * @throws LktError CACHE_LOCKED while another process writes into the store.
   */
  gc(): Promise<{ removed: number; bytes: number }>;
  /** All that is in the store. `areas`: what is beside the blobs. */
  inventory(areas: readonly CacheArea[]): Promise<Inventory>;
  /**
   * Removes garbage, and what was used longest ago, as far as the options say so. Other processes may use the store
   * meanwhile: what they have used since they began is left, and so are names unless the options have them.
   * @param removeDir removes what only its owner's user namespace can; by default that is left
   */
  prune(
    areas: readonly CacheArea[],
    options?: PruneOptions,
    removeDir?: (path: string) => Promise<void>,
  ): Promise<PruneResult>;
}
