import { lstat, mkdir, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf, isDigest, isErrno, LktError } from '@lkt/core';
import {
  type BlobInfo,
  type BlobName,
  blobProblem,
  Blobs,
  type ExpectedBlob,
  type ReadOptions,
} from './blobs.ts';
import type { CacheArea } from './cache-area.ts';
import type { Descriptor } from './descriptor.ts';
import { storeError } from './fs-error.ts';
import { findReachable, removeOthers } from './garbage.ts';
import { REF_NAME, readLayoutIndex, type Tag, tagEntry, writeLayoutIndex } from './layout-index.ts';
import { type LockOptions, withLockAt } from './lock.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import { prune, type Pruned, type PruneOptions } from './prune.ts';
import { allReferrers, findReferrers } from './referrers.ts';
import { TreeSizes } from './tree-sizes.ts';
import { putFile, removeTree, sweep, syncDir, tempDirIn, writeWhole } from './temp.ts';
import { WRITER, Writers } from './writers.ts';

/** Manifests and configs are shorter; distribution-spec asks registries for as much. */
const MAX_BYTES = 4 * 2 ** 20;

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
  read(blob: BlobName, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** A blob of at most `limit` bytes (default 4 MiB), checked. @throws LktError IMAGE_INVALID when it is longer */
  readBytes(blob: BlobName, limit?: number): Promise<Buffer>;
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
  ): Promise<Pruned>;
}

/**
 * Opens the store at `dir`, and makes one there unless `create` is false. A store that is there is only read until
 * something is written into it, so it may be read-only.
 * @throws LktError NOT_FOUND, UNSUPPORTED (a layout of a later version), IO_FAILED (a directory of something else)
 */
export async function openStore(
  dir: string,
  { create = true }: { create?: boolean } = {},
): Promise<Store> {
  if (!(await isLayout(dir))) {
    if (!create) throw new LktError('NOT_FOUND', `there is no store at ${dir}`);
    await createLayout(dir);
  }
  await sweep(join(dir, 'tmp'));
  await sweep(join(dir, 'locks'), WRITER);
  return new LayoutStore(dir);
}

class LayoutStore implements Store {
  readonly dir: string;
  readonly used = new Set<string>();
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
      // Nobody prunes what nobody can write to.
      if (!(error instanceof LktError)) throw error;
    }
    // Marked first: a collection that begins in between sees it, or is seen.
    for (;;) {
      if (!(await touch(path))) return false;
      if (!(await this.#writers.settled())) break;
    }
    this.used.add(path);
    return true;
  }

  read(blob: BlobName, options?: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#blobs.read(blob, options);
  }

  async readBytes(blob: BlobName, limit: number = MAX_BYTES): Promise<Buffer> {
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
    return this.write(once(bytes), { digest: digestOf(bytes), size: bytes.length });
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
      const all = [...entries.map(({ json }) => json), ...added.values()];
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
      throw storeError('cannot make a temporary directory in the store', error);
    });
  }

  async putFile(path: string, text: string): Promise<void> {
    await this.#writers.enter();
    try {
      putFile(join(this.dir, 'tmp'), path, text);
    } catch (error) {
      throw storeError(`cannot write ${path}`, error);
    }
  }

  async verify(
    { remove = false }: { remove?: boolean } = {},
    onProgress: (done: number, total: number) => void = () => undefined,
  ): Promise<{ checked: number; bad: { digest: Digest; path: string }[] }> {
    const digests = await this.#digests();
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
        // The entries go first: one whose blobs are gone is damage, a blob without an entry is only garbage.
        if (entries.length < index.entries.length) {
          const kept = entries.map(({ json }) => json);
          await writeLayoutIndex(this.dir, index.document, kept);
        }
        return removeOthers(this.#blobs, await this.#digests(), reachable);
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
  ): Promise<Pruned> {
    const store = { dir: this.dir, blobs: this.#blobs, writers: this.#writers };
    const pruned = await prune(store, areas, options);
    for (const path of pruned.trash) await removeDir(path);
    return pruned;
  }

  /** What an entry is about to lead to is there, and on disk: the entry must not outlast a crash that it does not. */
  async #requireBlobs(blobs: readonly Descriptor[], what: string): Promise<void> {
    for (const { digest, size } of blobs)
      if ((await this.#blobs.size(digest)) !== size)
        throw new LktError('NOT_FOUND', `${what}: blob ${digest} is not in the store`);
    await syncDir(this.#blobs.dir);
  }

  async #digests(): Promise<Digest[]> {
    try {
      const names = await readdir(this.#blobs.dir);
      return names.map((name) => `sha256:${name}`).filter((name) => isDigest(name));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw storeError(`cannot read ${this.#blobs.dir}`, error);
    }
  }

  /** Puts `replacement` where the entries of this name are. Whether there were any. */
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
    // NAME_MAX; a name cut off must not meet another one cut off.
    const short =
      safe.length <= 200 ? safe : `${safe.slice(0, 120)}-${digestOf(name).slice('sha256:'.length)}`;
    return join(this.dir, 'locks', `${short}.lock`);
  }
}

/** Whether something is there, and is marked as used now if that can be. */
async function touch(path: string): Promise<boolean> {
  try {
    const stats = await lstat(path);
    const now = new Date();
    if (stats.isDirectory()) await utimes(path, stats.atime, stats.mtime);
    else await utimes(path, now, now);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    if (isErrno(error, 'EROFS', 'EACCES', 'EPERM')) return true;
    throw storeError(`cannot look at ${path}`, error);
  }
}

async function isLayout(dir: string): Promise<boolean> {
  const path = join(dir, 'oci-layout');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw storeError(`cannot open the store at ${dir}`, error);
  }
  if (/"imageLayoutVersion"\s*:\s*"1\.0\.\d+"/.test(text)) return true;
  throw new LktError('UNSUPPORTED', `${path} is not that of an OCI layout of version 1.0`);
}

async function createLayout(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
    // What an interrupted run of this function leaves is no reason to refuse, nor what another one is just making.
    const foreign = (await readdir(dir)).find((name) => name !== 'tmp' && name !== 'oci-layout');
    if (foreign !== undefined && !(await isLayout(dir))) {
      throw new LktError('IO_FAILED', `${dir} holds something else than a store (${foreign})`, {
        fix: 'name a directory that is empty or does not exist',
      });
    }
    await writeWhole(join(dir, 'tmp'), async (file) => {
      await file.writeFile('{"imageLayoutVersion":"1.0.0"}\n');
      return join(dir, 'oci-layout');
    });
    await mkdir(join(dir, 'blobs', 'sha256'), { recursive: true });
    await withLockAt(join(dir, 'locks', 'index.lock'), async () => {
      const { document, entries } = await readLayoutIndex(dir);
      const manifests = entries.map((entry) => entry.json);
      await writeLayoutIndex(dir, document, manifests);
    });
  } catch (error) {
    throw storeError(`cannot make a store at ${dir}`, error);
  }
}

function withoutName(descriptor: Descriptor): Descriptor {
  const { annotations, ...rest } = descriptor;
  const { [REF_NAME]: _name, ...others } = annotations ?? {};
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
