import { closeSync, openSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Digest, DIGEST_ALGORITHMS, digestHex, isDigest, LktError } from '@lkt/core';
import { namesIn } from '../io/files.ts';
import type { Blobs } from './blobs.ts';
import { type CacheArea, type CacheItem } from './cache-area.ts';
import { diskUse, entriesIn } from './disk-use.ts';
import type { Descriptor } from '../image/descriptor.ts';
import type { LayoutIndex } from './layout-index.ts';
import { childrenOf, parseManifestOrIndex } from '../image/manifest.ts';
import { isIndexType, isManifestType, MediaType } from '../image/media-type.ts';
import { ownerState, tokenOf } from './owner.ts';
import { referrersBySubject } from '../image/referrers.ts';
import type { TreeSizes } from './tree-sizes.ts';

interface BlobUse {
  readonly bytes: number;
  readonly lastUsed: number;
}

/** The contents of a store: items, and the blobs with their size and last use. */
export interface Inventory {
  readonly items: readonly CacheItem[];
  readonly blobs: ReadonlyMap<Digest, BlobUse>;
}

/**
 * Directory of notes, one per downloaded blob, named by digest. Such blobs, and .debs, belong to no
 * image.
 */
const DOWNLOADS = 'downloads';

/** Takes the inventory of a store. Reads no blobs except manifests. */
export async function takeInventory(
  store: Blobs,
  index: LayoutIndex,
  areas: readonly CacheArea[],
  sizes: TreeSizes,
): Promise<Inventory> {
  const blobs = blobsOf(store.dir);
  const subjects = await referrersBySubject(store, index);
  const reach = new Reach(store, blobs, subjects);
  const referrers = new Set([...subjects.values()].flat().map(({ digest }) => digest));
  const items: CacheItem[] = [];
  for (const { reference, descriptor } of index.entries) {
    if (reference === undefined && referrers.has(descriptor.digest)) continue;
    items.push({
      area: 'images',
      name: reference ?? descriptor.digest,
      reference,
      paths: [],
      bytes: 0,
      lastUsed: blobs.get(descriptor.digest)?.lastUsed ?? 0,
      blobs: await reach.from(descriptor),
    });
  }
  for (const area of areas) {
    for (const item of area.list(store.dir, sizes)) {
      const all = new Set<Digest>();
      for (const digest of item.blobs)
        for (const found of await reach.fromDigest(digest)) all.add(found);
      items.push({ ...item, blobs: [...all] });
    }
  }
  items.push(...temporary(store.dir));
  const needed = new Set(items.flatMap((item) => item.blobs));
  const fetched = new Set(namesIn(join(store.dir, DOWNLOADS), { mayBeUnreadable: true }));
  for (const [digest, { lastUsed }] of blobs) {
    if (needed.has(digest)) continue;
    const note = digestHex(digest);
    const isFetched = fetched.has(note);
    const isDownload = isFetched || isDeb(store.blobPath(digest));
    items.push({
      area: isDownload ? DOWNLOADS : 'unreferenced',
      name: digest,
      paths: isFetched ? [join(store.dir, DOWNLOADS, note)] : [],
      bytes: 0,
      lastUsed,
      blobs: [digest],
      isGarbage: !isDownload,
    });
  }
  return { items, blobs };
}

/** Computes the blobs reachable from a blob: its manifest's, and the referrers of these. */
class Reach {
  readonly #content: Blobs;
  readonly #present: ReadonlyMap<Digest, BlobUse>;
  readonly #referrers: ReadonlyMap<Digest, readonly Descriptor[]>;
  readonly #known = new Map<Digest, readonly Digest[]>();

  constructor(
    content: Blobs,
    present: ReadonlyMap<Digest, BlobUse>,
    referrers: ReadonlyMap<Digest, readonly Descriptor[]>,
  ) {
    this.#content = content;
    this.#present = present;
    this.#referrers = referrers;
  }

  /** As `from`, for a blob of unknown type: a small one may be a manifest. */
  async fromDigest(digest: Digest): Promise<readonly Digest[]> {
    const size = this.#present.get(digest)?.bytes ?? Infinity;
    const mayBeManifest = size < 2 ** 16 && looksLikeJson(this.#content.blobPath(digest));
    const mediaType = mayBeManifest ? MediaType.ociManifest : 'application/octet-stream';
    return this.from({ mediaType, digest, size: 0 });
  }

  async from(descriptor: Descriptor): Promise<readonly Digest[]> {
    const { digest } = descriptor;
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    // Guards against a cycle of manifests.
    this.#known.set(digest, []);
    const all = new Set<Digest>(this.#present.has(digest) ? [digest] : []);
    const next = [...(await this.#children(descriptor)), ...(this.#referrers.get(digest) ?? [])];
    for (const item of next) for (const found of await this.from(item)) all.add(found);
    const result = [...all];
    this.#known.set(digest, result);
    return result;
  }

  async #children({ digest, mediaType, size }: Descriptor): Promise<readonly Descriptor[]> {
    if (!isManifestType(mediaType) && !isIndexType(mediaType)) return [];
    if (!this.#present.has(digest)) return [];
    try {
      return childrenOf(parseManifestOrIndex(await this.#content.readBytes({ digest })));
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      // A guess may be wrong, and a layout may hold only a part of an index.
      const isGuess = size === 0;
      if (error.code === 'NOT_FOUND' || (isGuess && error.code === 'IMAGE_INVALID')) return [];
      throw new LktError(
        error.code,
        `cannot collect garbage: manifest ${digest}: ${error.message}`,
        {
          cause: error,
          fix: 'run lkt cache verify --remove',
        },
      );
    }
  }
}

function blobsOf(store: string): ReadonlyMap<Digest, BlobUse> {
  const found = new Map<Digest, BlobUse>();
  for (const algorithm of DIGEST_ALGORITHMS)
    for (const { name, stats } of entriesIn(store, join('blobs', algorithm))) {
      const digest = `${algorithm}:${basename(name)}`;
      if (isDigest(digest) && stats.isFile())
        found.set(digest, { bytes: diskUse(stats), lastUsed: stats.mtimeMs });
    }
  return found;
}

/** Lists the temporary files of processes; those of dead processes are garbage. */
function temporary(store: string): readonly CacheItem[] {
  return entriesIn(store, 'tmp').map(({ name, path, stats }) => {
    const token = tokenOf(basename(name));
    return {
      area: 'temporary',
      name,
      paths: [path],
      bytes: diskUse(stats),
      lastUsed: Math.max(stats.mtimeMs, stats.atimeMs),
      blobs: [],
      isGarbage: token !== undefined && ownerState(token) === 'dead',
    };
  });
}

function isDeb(path: string): boolean {
  return startOf(path, 8) === '!<arch>\n';
}

function looksLikeJson(path: string): boolean {
  return startOf(path, 1) === '{';
}

function startOf(path: string, length: number): string {
  const buffer = Buffer.alloc(length);
  try {
    const file = openSync(path, 'r');
    try {
      return buffer.toString('latin1', 0, readSync(file, buffer, 0, length, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
