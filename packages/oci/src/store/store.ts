import type { Digest } from '@lkt/core';
import type { BlobInfo, BlobRef, ExpectedBlob, ReadOptions } from './blobs.ts';
import type { CacheArea } from './cache-area.ts';
import type { Descriptor } from '../image/descriptor.ts';
import type { Inventory } from './inventory.ts';
import type { Tag } from './layout-index.ts';
import type { LockOptions } from './lock.ts';
import type { PruneResult, PruneOptions } from './prune.ts';

/**
 * Images and other blobs on disk by digest: an OCI image layout (image-spec, image-layout.md), like
 * LinuxKit's cache.
 *
 * Any number of processes may use it. It stays consistent if a process dies or the disk fills up.
 * Content is verified on each read.
 */
export interface Store {
  /** The store's directory. */
  readonly dir: string;
  /** Reports whether a blob exists. */
  has(digest: Digest): Promise<boolean>;
  /** Returns the size of a blob in bytes; undefined if it is missing. */
  size(digest: Digest): Promise<number | undefined>;
  /** Returns the path of a blob, which need not exist. */
  blobPath(digest: Digest): string;
  /**
   * Reports whether a blob exists, with `size` if given, and marks it as used now. From then on
   * only `gc` and `verify` remove it during the life of this process.
   */
  keep(digest: Digest, size?: number): Promise<boolean>;
  /**
   * As `keep`, for a file or directory of the store beside the blobs. Of a directory, only the
   * ctime changes.
   */
  use(path: string): Promise<boolean>;
  /** The paths passed to `keep` and `use`. */
  readonly used: ReadonlySet<string>;
  /**
   * Streams a blob. Yields the last chunk only after verification, so do not act on earlier chunks
   * alone.
   * @throws NOT_FOUND; DIGEST_MISMATCH in place of the last chunk
   */
  read(blob: BlobRef, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /**
   * Returns a verified blob of at most `limit` bytes; default 4 MiB.
   * @throws NOT_FOUND, DIGEST_MISMATCH; IMAGE_INVALID if it is longer
   */
  readBytes(blob: BlobRef, limit?: number): Promise<Buffer>;
  /**
   * Adds a blob atomically. If digest and size are given and the blob exists, the source is not
   * read. A chunk's memory may be reused once the next chunk is requested.
   * @throws DIGEST_MISMATCH if the content is not as expected; DISK_FULL
   */
  write(
    source: AsyncIterable<Uint8Array>,
    expected?: ExpectedBlob,
    signal?: AbortSignal,
  ): Promise<BlobInfo>;
  /** Adds a blob with this content. */
  writeBytes(bytes: Uint8Array): Promise<BlobInfo>;
  /** Returns the tagged images, sorted by reference. */
  tags(): Promise<readonly Tag[]>;
  /** Returns the descriptor tagged with `reference`; undefined if there is none. */
  resolve(reference: string): Promise<Descriptor | undefined>;
  /**
   * Tags an image of the store, replacing an existing tag.
   * @throws NOT_FOUND if the manifest is not in the store
   */
  tag(reference: string, descriptor: Descriptor): Promise<void>;
  /** Removes a tag and reports whether it existed. Blobs stay until `gc` or `prune`. */
  untag(reference: string): Promise<boolean>;
  /**
   * Adds referrers, such as signatures and SBOMs, to the index as entries without a name, like
   * ORAS. They are kept as long as their subject.
   * @throws NOT_FOUND if a manifest is not in the store
   */
  addReferrer(...manifests: readonly Descriptor[]): Promise<void>;
  /**
   * Returns the referrers of `subject`, sorted by digest; optionally of one artifact type. Do not
   * trust their content: any program with access to the store can add one.
   */
  referrers(subject: Digest, artifactType?: string): Promise<readonly Descriptor[]>;
  /** Returns all referrers by the digest of their subject. */
  allReferrers(): Promise<ReadonlyMap<Digest, readonly Descriptor[]>>;
  /**
   * Runs `run` exclusively under this name among all processes that use the store.
   * @throws CACHE_LOCKED after the timeout
   */
  withLock<T>(name: string, run: () => Promise<T>, options?: LockOptions): Promise<T>;
  /**
   * Writes a small file beside the blobs, atomically but without fsync: it may be lost in a crash
   * of the machine.
   */
  putFile(path: string, text: string): Promise<void>;
  /**
   * Creates a directory in the store's file system for files that will be renamed into place.
   * Disposal removes it.
   */
  tempDir(): Promise<AsyncDisposable & { path: string }>;
  /** Hashes every blob and returns the damaged ones, removing them with `remove`. */
  verify(
    options?: { remove?: boolean },
    onProgress?: (done: number, total: number) => void,
  ): Promise<{ checked: number; bad: { digest: Digest; path: string }[] }>;
  /**
   * Removes blobs that no tag reaches, and referrers without a kept subject.
   * @throws CACHE_LOCKED while another process writes to the store
   */
  gc(): Promise<{ removed: number; bytes: number }>;
  /**
   * Returns the contents of the store.
   * @param areas the directories beside the blobs
   */
  inventory(areas: readonly CacheArea[]): Promise<Inventory>;
  /**
   * Removes garbage and the least recently used items according to the options. Other processes may
   * use the store meanwhile: items they have used since they started stay. Tagged images stay
   * unless `options.images` accepts them.
   * @param removeDir removes directories owned by another user namespace; default: `removeTree`
   */
  prune(
    areas: readonly CacheArea[],
    options?: PruneOptions,
    removeDir?: (path: string) => Promise<void>,
  ): Promise<PruneResult>;
}
