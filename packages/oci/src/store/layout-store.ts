import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf, ioError, LktError } from '@lkt/core';
import { singleChunk } from '../io/single-chunk.ts';
import {
  type BlobInfo,
  type BlobRef,
  blobProblem,
  Blobs,
  type ExpectedBlob,
  type ReadOptions,
} from './blobs.ts';
import type { CacheArea } from './cache-area.ts';
import type { Descriptor } from '../image/descriptor.ts';
import { findReachable, removeOthers } from './garbage.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import {
  readLayoutIndex,
  SUBJECT,
  type Tag,
  tagEntry,
  withoutName,
  writeLayoutIndex,
} from './layout-index.ts';
import { type LockOptions, withLockAt } from './lock.ts';
import { prune, type PruneResult, type PruneOptions } from './prune.ts';
import { allReferrers, findReferrers, readReferrer } from '../image/referrers.ts';
import type { Store } from './store.ts';
import { putFile, removeTree, syncDir, tempDirIn } from '../io/temp.ts';
import { touch } from '../io/touch.ts';
import { TreeSizes } from './tree-sizes.ts';
import { Writers } from './writers.ts';

/**
 * Default limit of a manifest or config; distribution-spec asks registries to accept manifests of
 * this size.
 */
const MAX_BYTES = 4 * 2 ** 20;

/** A store in an OCI image layout directory. */
export class LayoutStore implements Store {
  readonly dir: string;
  readonly used: Set<string> = new Set();
  readonly #blobs: Blobs;
  readonly #writers: Writers;

  constructor(dir: string) {
    this.dir = dir;
    this.#blobs = new Blobs(dir);
    this.#writers = new Writers(join(dir, 'locks'));
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.#blobs.size(digest)) !== undefined;
  }

  async size(digest: Digest): Promise<number | undefined> {
    return this.#blobs.size(digest);
  }

  blobPath(digest: Digest): string {
    return this.#blobs.path(digest);
  }

  async keep(digest: Digest, size?: number): Promise<boolean> {
    const found = await this.#blobs.size(digest);
    if (found === undefined || (size !== undefined && found !== size)) return false;
    return this.use(this.#blobs.path(digest));
  }

  async use(path: string): Promise<boolean> {
    try {
      await this.#writers.enter();
    } catch (error) {
      // A store that is not writable is not pruned either.
      if (!(error instanceof LktError)) throw error;
    }
    // Touch first: a collection that starts in between either sees the mark or is detected here.
    for (;;) {
      if (!touch(path)) return false;
      if (!(await this.#writers.settled())) break;
    }
    this.used.add(path);
    return true;
  }

  read(blob: BlobRef, options?: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#blobs.read(blob, options);
  }

  async readBytes(blob: BlobRef, limit: number = MAX_BYTES): Promise<Buffer> {
    return this.#blobs.readBytes(blob, limit);
  }

  async write(
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
    return this.#blobs.write(source, expected, signal);
  }

  async writeBytes(bytes: Uint8Array): Promise<BlobInfo> {
    return this.write(singleChunk(bytes), { digest: digestOf(bytes), size: bytes.length });
  }

  async tags(): Promise<readonly Tag[]> {
    const { entries } = await readLayoutIndex(this.dir);
    return entries
      .flatMap(({ reference, descriptor }) =>
        reference === undefined ? [] : [{ reference, descriptor: withoutName(descriptor) }],
      )
      .toSorted((a, b) => (a.reference < b.reference ? -1 : 1));
  }

  async resolve(reference: string): Promise<Descriptor | undefined> {
    const { entries } = await readLayoutIndex(this.dir);
    const found = entries.find((entry) => entry.reference === reference);
    return found === undefined ? undefined : withoutName(found.descriptor);
  }

  async tag(reference: string, descriptor: Descriptor): Promise<void> {
    if (reference === '') throw new Error('a tag needs a name');
    await this.#writers.enter();
    await this.#requireBlobs([descriptor], `cannot tag ${reference}`);
    await this.#changeIndex(reference, [tagEntry(reference, descriptor)]);
  }

  async untag(reference: string): Promise<boolean> {
    return this.#changeIndex(reference, []);
  }

  async addReferrer(...manifests: readonly Descriptor[]): Promise<void> {
    await this.#writers.enter();
    await this.#requireBlobs(manifests, 'cannot add a referrer');
    await this.withLock('index', async () => {
      const { document, entries } = await readLayoutIndex(this.dir);
      const present = new Set(
        entries.flatMap(({ reference, descriptor }) =>
          reference === undefined ? [descriptor.digest] : [],
        ),
      );
      const added = new Map(manifests.map((item) => [item.digest, withoutName(item)]));
      for (const digest of present) added.delete(digest);
      if (added.size === 0) return;
      const all = [
        ...entries.map(({ json }) => json),
        ...(await Promise.all([...added.values()].map(async (item) => this.#withSubject(item)))),
      ];
      await writeLayoutIndex(this.dir, document, all);
    });
  }

  async referrers(subject: Digest, artifactType?: string): Promise<readonly Descriptor[]> {
    return findReferrers(this.#blobs, await readLayoutIndex(this.dir), subject, artifactType);
  }

  async allReferrers(): Promise<ReadonlyMap<Digest, readonly Descriptor[]>> {
    const found = new Map<Digest, Descriptor[]>();
    const index = await readLayoutIndex(this.dir);
    for await (const { subject, referrer } of allReferrers(this.#blobs, index))
      found.set(subject, [...(found.get(subject) ?? []), referrer]);
    return found;
  }

  async withLock<T>(name: string, run: () => Promise<T>, options?: LockOptions): Promise<T> {
    return withLockAt(this.#lockPath(name), run, options);
  }

  async tempDir(): Promise<AsyncDisposable & { path: string }> {
    await this.#writers.enter();
    return tempDirIn(join(this.dir, 'tmp')).catch((error: unknown) => {
      throw ioError('cannot create a temporary directory in the store', error);
    });
  }

  async putFile(path: string, text: string): Promise<void> {
    await this.#writers.enter();
    try {
      putFile(join(this.dir, 'tmp'), path, text);
    } catch (error) {
      throw ioError(`cannot write ${path}`, error);
    }
  }

  async verify(
    { remove = false }: { remove?: boolean } = {},
    onProgress: (done: number, total: number) => void = () => undefined,
  ): Promise<{ checked: number; bad: { digest: Digest; path: string }[] }> {
    const digests = await this.#blobs.digests();
    const bad: { digest: Digest; path: string }[] = [];
    let checked = 0;
    for (const digest of digests) {
      const path = this.#blobs.path(digest);
      if ((await blobProblem(this.#blobs, digest)) !== undefined) {
        bad.push({ digest, path });
        if (remove) await rm(path, { force: true });
      }
      checked += 1;
      onProgress(checked, digests.length);
    }
    return { checked, bad };
  }

  async gc(): Promise<{ removed: number; bytes: number }> {
    return this.#writers.exclude(() =>
      this.withLock('index', async () => {
        const index = await readLayoutIndex(this.dir);
        const { reachable, entries } = await findReachable(this.#blobs, index);
        // Entries first: an entry without its blobs is damage, a blob without an entry only
        // garbage.
        if (entries.length < index.entries.length) {
          const kept = entries.map(({ json }) => json);
          await writeLayoutIndex(this.dir, index.document, kept);
        }
        return removeOthers(this.#blobs, await this.#blobs.digests(), reachable);
      }),
    );
  }

  async inventory(areas: readonly CacheArea[]): Promise<Inventory> {
    const sizes = new TreeSizes(this.dir);
    const index = await readLayoutIndex(this.dir);
    const found = await takeInventory(this.dir, this.#blobs, index, areas, sizes);
    sizes.save();
    return found;
  }

  async prune(
    areas: readonly CacheArea[],
    options: PruneOptions = {},
    removeDir: (path: string) => Promise<void> = removeTree,
  ): Promise<PruneResult> {
    const store = { dir: this.dir, blobs: this.#blobs, writers: this.#writers };
    const pruned = await prune(store, areas, options);
    for (const path of pruned.trash) await removeDir(path);
    return pruned;
  }

  async #withSubject(descriptor: Descriptor): Promise<Descriptor> {
    const referrer = await readReferrer(this.#blobs, descriptor);
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
      if ((await this.#blobs.size(digest)) !== size)
        throw new LktError('NOT_FOUND', `${what}: blob ${digest} is not in the store`);
    await syncDir(this.#blobs.dir);
  }

  /** Replaces the entries of a name. Returns whether there were any. */
  async #changeIndex(reference: string, replacement: readonly Descriptor[]): Promise<boolean> {
    return this.withLock('index', async () => {
      const { document, entries } = await readLayoutIndex(this.dir);
      const others = entries.filter((entry) => entry.reference !== reference);
      const hadOne = others.length < entries.length;
      if (!hadOne && replacement.length === 0) return false;
      const manifests = [...others.map((entry) => entry.json), ...replacement];
      await writeLayoutIndex(this.dir, document, manifests);
      return hadOne;
    });
  }

  #lockPath(name: string): string {
    const safe = encodeURIComponent(name).replaceAll('.', '%2E');
    // At most NAME_MAX. The digest keeps truncated names distinct.
    const short =
      safe.length <= 200 ? safe : `${safe.slice(0, 120)}-${digestOf(name).slice('sha256:'.length)}`;
    return join(this.dir, 'locks', `${short}.lock`);
  }
}
