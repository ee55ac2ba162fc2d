import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Digest,
  DIGEST_ALGORITHMS,
  digestHex,
  digestOf,
  ioError,
  isErrno,
  LktError,
  monotonicNow,
  undefinedIf,
} from '@lkt/core';
import { type BlobInfo, Blobs, type ExpectedBlob } from './blobs.ts';
import type { CacheArea } from './cache-area.ts';
import { checkInPlace } from './check-in-place.ts';
import type { Descriptor } from '../image/descriptor.ts';
import { type BlobDeletion, deleteBlob } from './delete-blob.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import {
  readLayoutIndex,
  readTags,
  SUBJECT,
  type Tag,
  tagEntry,
  withoutName,
  writeLayoutIndex,
} from './layout-index.ts';
import { type LockOptions, withLockAt } from './lock.ts';
import { ownerToken } from './owner.ts';
import { prune, type PruneResult, type PruneOptions } from './prune.ts';
import { findReferrers, readReferrer, referrersBySubject } from '../image/referrers.ts';
import { singleChunk } from '../io/chunks.ts';
import { putFile, removeTree, syncDir, tempDirIn } from '../io/temp.ts';
import { touch } from '../io/touch.ts';
import { type SealedFiles, withoutSeal } from './sealed-files.ts';
import { TreeSizes } from './tree-sizes.ts';
import { Writers } from './writers.ts';

/** The result of `Store.verify`. */
export interface StoreCheck {
  readonly checked: number;
  readonly bad: readonly { readonly digest: Digest; readonly path: string }[];
  /** Cached results of steps, builds and composing. */
  readonly cached: { readonly checked: number; readonly bad: readonly string[] };
}

/** A path that is used again sooner is not marked again. */
const MARK_MS = 60_000;

/**
 * Images and other blobs on disk by digest: an OCI image layout (image-spec, image-layout.md), like
 * LinuxKit's cache. `openStore` opens one.
 *
 * Any number of processes may use it. It stays consistent if a process dies or the disk fills up.
 * Content is verified on each read.
 */
export class Store extends Blobs {
  readonly sealed: SealedFiles;
  /** When the paths passed to `keep` and `use` were last marked, by `monotonicNow()`. */
  readonly #marked = new Map<string, number>();
  readonly #writers: Writers;

  constructor(dir: string, sealed: SealedFiles) {
    super(dir);
    this.sealed = sealed;
    this.#writers = new Writers(join(dir, 'locks'));
  }

  /** Reports whether a blob exists. */
  async has(digest: Digest): Promise<boolean> {
    return (await this.size(digest)) !== undefined;
  }

  /**
   * Reports whether a blob exists, with `size` if given, and marks it as used now. From then on
   * only `verify` and `delete` remove it during the life of this process.
   */
  async keep(digest: Digest, size?: number): Promise<boolean> {
    const found = await this.size(digest);
    if (found === undefined || (size !== undefined && found !== size)) return false;
    return this.use(this.blobPath(digest));
  }

  /**
   * As `keep`, for a file or directory of the store beside the blobs. Of a directory, only the
   * ctime changes.
   */
  async use(path: string): Promise<boolean> {
    try {
      await this.#writers.enter();
    } catch (error) {
      // A store that is not writable is not pruned either.
      if (!(error instanceof LktError)) throw error;
    }
    // A collection spares what was marked in the life of this process.
    const marked = this.#marked.get(path);
    if (marked !== undefined && monotonicNow() - marked < MARK_MS) return existsSync(path);
    // Touch first: a collection that starts in between either sees the mark or is detected here.
    for (;;) {
      if (!touch(path)) return false;
      if (!(await this.#writers.settled())) break;
    }
    this.#marked.set(path, monotonicNow());
    return true;
  }

  /** The paths passed to `keep` and `use`. */
  get used(): ReadonlySet<string> {
    return new Set(this.#marked.keys());
  }

  /**
   * Adds a blob atomically. If digest and size are given and the blob exists, the source is not
   * read. A chunk's memory may be reused once the next chunk is requested.
   * @throws DIGEST_MISMATCH if the content is not as expected; DISK_FULL
   */
  override async write(
    source: AsyncIterable<Uint8Array>,
    expected: ExpectedBlob = {},
    signal?: AbortSignal,
  ): Promise<BlobInfo> {
    await this.#writers.enter(signal);
    const { digest, size } = expected;
    if (digest !== undefined && size !== undefined && (await this.keep(digest, size))) {
      await source[Symbol.asyncIterator]().return?.();
      return { digest, size };
    }
    return super.write(source, expected, signal);
  }

  /**
   * Adds a blob with this content.
   * @param digest default: its SHA-256 digest
   */
  async writeBytes(bytes: Uint8Array, digest: Digest = digestOf(bytes)): Promise<BlobInfo> {
    return this.write(singleChunk(bytes), { digest, size: bytes.length });
  }

  /** Returns the tagged images, sorted by reference. */
  async tags(): Promise<readonly Tag[]> {
    return readTags(this.dir);
  }

  /** Returns the descriptor tagged with `reference`; undefined if the tag does not exist. */
  async resolve(reference: string): Promise<Descriptor | undefined> {
    const { names } = await readLayoutIndex(this.dir);
    const found = names.get(reference);
    return found === undefined ? undefined : withoutName(found.descriptor);
  }

  /**
   * Tags an image of the store with each reference, replacing existing tags.
   * @throws NOT_FOUND if the manifest is not in the store
   */
  async tag(references: string | readonly string[], descriptor: Descriptor): Promise<void> {
    const names = typeof references === 'string' ? [references] : references;
    if (names.includes('')) throw new Error('a tag needs a name');
    await this.#writers.enter();
    await this.#requireBlobs([descriptor], `cannot tag ${names.join(', ')}`);
    await this.#changeIndex(
      names,
      names.map((name) => ({ json: tagEntry(name, descriptor) })),
    );
  }

  /**
   * Deletes a blob, and if it is a manifest, its tags that `owns` accepts and its entry as a
   * referrer. Changes nothing if an image or another process needs the blob.
   */
  async delete(digest: Digest, owns: (reference: string) => boolean): Promise<BlobDeletion> {
    return deleteBlob(this, this.#writers, digest, owns);
  }

  /** Removes a tag and reports whether it existed. Blobs stay until `prune`. */
  async untag(reference: string): Promise<boolean> {
    return this.#changeIndex([reference], []);
  }

  /**
   * Adds referrers, such as signatures and SBOMs, to the index as entries without a name, like
   * ORAS. They are kept as long as their subject. Does nothing without manifests.
   * @throws NOT_FOUND if a manifest is not in the store
   */
  async addReferrer(...manifests: readonly Descriptor[]): Promise<void> {
    if (manifests.length === 0) return;
    await this.#writers.enter();
    await this.#requireBlobs(manifests, 'cannot add a referrer');
    await this.withLock('index', async () => {
      const { document, entries } = await readLayoutIndex(this.dir);
      const added = new Map(manifests.map((item) => [item.digest, withoutName(item)]));
      for (const { reference, descriptor } of entries)
        if (reference === undefined) added.delete(descriptor.digest);
      if (added.size === 0) return;
      const json = await Promise.all([...added.values()].map((item) => this.#withSubject(item)));
      const more = json.map((item) => ({ json: item }));
      await writeLayoutIndex(this.dir, document, [...entries, ...more]);
    });
  }

  /**
   * Returns the referrers of `subject`, sorted by digest; optionally of one artifact type. Do not
   * trust their content: any program with access to the store can add one.
   */
  async referrers(subject: Digest, artifactType?: string): Promise<readonly Descriptor[]> {
    return findReferrers(this, await readLayoutIndex(this.dir), subject, artifactType);
  }

  /** Returns all referrers by the digest of their subject. */
  async allReferrers(): Promise<ReadonlyMap<Digest, readonly Descriptor[]>> {
    return referrersBySubject(this, await readLayoutIndex(this.dir));
  }

  /**
   * Runs `run` exclusively under this name among all processes that use the store.
   * @throws CACHE_LOCKED after the timeout
   */
  async withLock<T>(name: string, run: () => Promise<T>, options?: LockOptions): Promise<T> {
    return withLockAt(this.#lockPath(name), run, options);
  }

  /**
   * Writes a small file beside the blobs, atomically but without fsync: it may be lost in a crash
   * of the machine.
   */
  async putFile(path: string, text: string): Promise<void> {
    await this.#writers.enter();
    try {
      putFile(join(this.dir, 'tmp'), path, text);
    } catch (error) {
      throw ioError(`cannot write ${path}`, error);
    }
  }

  /** As `putFile`, for a file that `sealed` reads. */
  async putSealed(path: string, text: string): Promise<void> {
    await this.putFile(path, this.sealed.seal(path, text));
  }

  /**
   * Creates a directory in the store's file system for files that will be renamed into place.
   * Disposal removes it.
   */
  async tempDir(): Promise<AsyncDisposable & { path: string }> {
    await this.#writers.enter();
    return tempDirIn(join(this.dir, 'tmp')).catch((error: unknown) => {
      throw ioError('cannot create a temporary directory in the store', error);
    });
  }

  /**
   * Hashes every blob, and checks the items of areas that can be checked. Returns the damaged and
   * foreign ones, removing them with `remove`. What other processes remove meanwhile is left out.
   */
  async verify(
    { remove = false, areas = [] }: { remove?: boolean; areas?: readonly CacheArea[] } = {},
    onProgress: (done: number, total: number) => void = () => undefined,
  ): Promise<StoreCheck> {
    const digests = this.digests();
    const sizes = new TreeSizes(this.dir);
    const items = areas.flatMap((area) =>
      area.isIntact === undefined
        ? []
        : area.list(this.dir, sizes).flatMap(({ paths }) => paths.map((path) => ({ path, area }))),
    );
    const total = digests.length + items.length;
    const bad: { digest: Digest; path: string }[] = [];
    for (const [index, digest] of digests.entries()) {
      const path = this.blobPath(digest);
      if ((await checkInPlace(path, async () => this.isIntact(digest))) === false) {
        bad.push({ digest, path });
        if (remove) await rm(path, { force: true });
      }
      onProgress(index + 1, total);
    }
    const cached: { checked: number; bad: string[] } = { checked: 0, bad: [] };
    for (const [index, { path, area }] of items.entries()) {
      const isIntact = await checkInPlace(path, async () => area.isIntact?.(path, this));
      if (isIntact !== undefined) cached.checked += 1;
      if (isIntact === false) {
        cached.bad.push(path);
        if (remove) await this.#remove(path);
      }
      onProgress(digests.length + index + 1, total);
    }
    return { checked: digests.length, bad, cached };
  }

  /**
   * Seals the files of areas that have no valid seal, after their owner has decided to trust them.
   * Returns their paths.
   */
  async adopt(areas: readonly CacheArea[]): Promise<readonly string[]> {
    const sizes = new TreeSizes(this.dir);
    const adopted: string[] = [];
    for (const area of areas) {
      if (area.adopt === undefined) continue;
      for (const path of area.list(this.dir, sizes).flatMap(({ paths }) => paths)) {
        if (this.sealed.read(path) !== undefined) continue;
        const content = await readFile(path, 'utf8').catch(undefinedIf('ENOENT'));
        // Another process removed it.
        if (content === undefined) continue;
        await this.putSealed(path, area.adopt(withoutSeal(content)));
        adopted.push(path);
      }
    }
    return adopted;
  }

  /**
   * Returns the contents of the store.
   * @param areas the directories beside the blobs
   */
  async inventory(areas: readonly CacheArea[]): Promise<Inventory> {
    const sizes = new TreeSizes(this.dir);
    const index = await readLayoutIndex(this.dir);
    const found = await takeInventory(this, index, areas, sizes);
    sizes.save();
    return found;
  }

  /**
   * Removes garbage and the least recently used items according to the options. Other processes may
   * use the store meanwhile: items they have used since they started stay. Tagged images stay
   * unless `options.images` accepts them. An error of the disk leaves the rest, which the next call
   * removes.
   * @param removeDir removes directories owned by another user namespace; default: `removeTree`
   */
  async prune(
    areas: readonly CacheArea[],
    options: PruneOptions = {},
    removeDir: (path: string) => Promise<void> = removeTree,
  ): Promise<PruneResult> {
    const trash = join(this.dir, 'tmp', ownerToken());
    try {
      return await prune(this, this.#writers, areas, options, trash);
    } catch (error) {
      throw ioError(`cannot remove everything chosen from the store at ${this.dir}`, error);
    } finally {
      if (existsSync(trash)) await removeDir(trash);
    }
  }

  /** Removes a file or directory at once in the eyes of other processes. */
  async #remove(path: string): Promise<void> {
    await using trash = await this.tempDir();
    await rename(path, join(trash.path, 'removed')).catch(undefinedIf('ENOENT'));
  }

  async #withSubject(descriptor: Descriptor): Promise<Descriptor> {
    const referrer = await readReferrer(this, descriptor);
    if (referrer?.subject === undefined) return descriptor;
    const annotations = { ...descriptor.annotations, [SUBJECT]: referrer.subject.digest };
    return { ...descriptor, annotations };
  }

  /**
   * Checks that the blobs of a future entry exist and are synced: the entry must not survive a
   * crash that they do not.
   */
  async #requireBlobs(blobs: readonly Descriptor[], what: string): Promise<void> {
    for (const { digest, size } of blobs)
      if ((await this.size(digest)) !== size)
        throw new LktError('NOT_FOUND', `${what}: blob ${digest} is not in the store`);
    for (const algorithm of DIGEST_ALGORITHMS)
      await syncDir(this.blobsDir(algorithm)).catch((error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error;
      });
  }

  /** Replaces the entries of a name. Returns whether there were any. */
  async #changeIndex(
    references: readonly string[],
    replacement: readonly { readonly json: Descriptor }[],
  ): Promise<boolean> {
    return this.withLock('index', async () => {
      const { document, entries } = await readLayoutIndex(this.dir);
      const others = entries.filter(
        ({ reference }) => reference === undefined || !references.includes(reference),
      );
      const hadOne = others.length < entries.length;
      if (!hadOne && replacement.length === 0) return false;
      await writeLayoutIndex(this.dir, document, [...others, ...replacement]);
      return hadOne;
    });
  }

  #lockPath(name: string): string {
    const safe = encodeURIComponent(name).replaceAll('.', '%2E');
    // At most NAME_MAX. The digest keeps truncated names distinct.
    const short = safe.length <= 200 ? safe : `${safe.slice(0, 120)}-${digestHex(digestOf(name))}`;
    return join(this.dir, 'locks', `${short}.lock`);
  }
}
