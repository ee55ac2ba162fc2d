import { type Digest, LktError } from '@lkt/core';
import { parseManifestOrIndex, parseReference, type Reference, type Store } from '@lkt/oci';
import type { Repository } from './remote.ts';

/** Maximum repositories from which a blob is mounted: each attempt is a request. */
const MAX_SOURCES = 3;
/** Maximum nesting of indexes. */
const MAX_DEPTH = 3;

/**
 * Finds the repositories of a registry that may have a blob, so that a push can mount it: those
 * that this client pulled it from or pushed it to, and those whose tags in the store need it.
 */
export class BlobSources {
  readonly #seen = new Map<string, Set<string>>();
  readonly #tagged = new Map<string, Promise<ReadonlyMap<Digest, ReadonlySet<string>>>>();

  /** Records that a repository has blobs, unless it is without a registry. */
  add({ domain, path }: Pick<Reference, 'domain' | 'path'>, ...digests: readonly Digest[]): void {
    if (domain === undefined) return;
    for (const digest of digests) addTo(this.#seen, `${domain} ${digest}`, path);
  }

  /** Returns the paths of other repositories of the same registry that may have a blob. */
  async of(store: Store, { domain, path }: Repository, digest: Digest): Promise<readonly string[]> {
    const key = `${store.dir} ${domain}`;
    const tagged = this.#tagged.get(key) ?? taggedBlobs(store, domain);
    this.#tagged.set(key, tagged);
    const seen = this.#seen.get(`${domain} ${digest}`) ?? [];
    const all = new Set([...seen, ...((await tagged).get(digest) ?? [])]);
    all.delete(path);
    return [...all].slice(0, MAX_SOURCES);
  }
}

/** Returns the blobs that a store's tags of a registry need, with the repositories of the tags. */
async function taggedBlobs(
  store: Store,
  domain: string,
): Promise<ReadonlyMap<Digest, ReadonlySet<string>>> {
  const found = new Map<Digest, Set<string>>();
  for (const { reference, descriptor } of await store.tags()) {
    if (!reference.startsWith(`${domain}/`)) continue;
    const { path } = parseReference(reference);
    for (const blob of await blobsOf(store, descriptor.digest)) addTo(found, blob, path);
  }
  return found;
}

/** Returns the blobs of the images of a manifest or index, as far as the store has them. */
export async function blobsOf(
  store: Store,
  digest: Digest,
  depth: number = MAX_DEPTH,
  seen: Set<string> = new Set(),
): Promise<readonly Digest[]> {
  const key = `${digest} ${depth}`;
  if (seen.has(key)) return [];
  seen.add(key);
  try {
    const document = parseManifestOrIndex(await store.readBytes({ digest }));
    if (!('manifests' in document))
      return [document.config, ...document.layers].map((blob) => blob.digest);
    if (depth === 0) return [];
    const blobs: Digest[] = [];
    for (const item of document.manifests)
      blobs.push(...(await blobsOf(store, item.digest, depth - 1, seen)));
    return blobs;
  } catch (error) {
    // The sources are only a hint.
    if (error instanceof LktError) return [];
    throw error;
  }
}

function addTo<Key>(sets: Map<Key, Set<string>>, key: Key, value: string): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}
