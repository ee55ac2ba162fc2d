import { readdir } from 'node:fs/promises';
import { cacheFilePath, readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import { canonicalJson, type Digest, digestHex, digestOf, isErrno } from '@lkt/core';
import type { DebianLock } from '@lkt/debian/description';
import type { Descriptor, Platform, Store } from '@lkt/oci';
import type { FoundImage } from '../sources/image-archives.ts';
import type { Recipe } from '../build/recipe.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** Raised by whatever changes the documents of an unchanged build. */
const VERSION = 2;

/** The documents beside an image; each is the manifest of a referrer. */
export interface Attestations {
  readonly sbom: Descriptor;
  readonly provenance: Descriptor;
}

/** An image of a package, and what it was built from. */
export interface AttestedImage {
  readonly platform: Platform;
  readonly descriptor: Descriptor;
  /** undefined for a package of .debs. */
  readonly recipe: Recipe | undefined;
  /** What the references of the recipe mean, by their text. */
  readonly bases: ReadonlyMap<string, Digest>;
  /** Images that went into the build context. */
  readonly archived: readonly FoundImage[];
  /** Its build key. */
  readonly key: string;
  /** Of a package with a Dockerfile. */
  readonly contextDigest?: Digest;
  /** Of a package of .debs. */
  readonly lock?: DebianLock;
  /** Once it is attested. The store may have others, of other builds that gave the same image. */
  readonly sbom?: Descriptor;
}

export interface AttestedPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  readonly images: readonly AttestedImage[];
  /** Images for other platforms that are in the index, and were attested when they were built. */
  readonly others: readonly Descriptor[];
  readonly index: Descriptor;
}

/** What was written about an index and the images that were built. */
export interface PackageAttestations {
  readonly index: Attestations;
  readonly images: readonly Attestations[];
}

/**
 * Writes SBOM and provenance of packages as referrers of their images: of each platform's manifest and of the index.
 * What has been written for the same build is not made again; finding that out reads one small file.
 *
 * The packages that one uses come before it.
 */
export class Attester {
  readonly #store: Store;
  readonly #signal: AbortSignal | undefined;
  /** By manifest. */
  readonly #known = new Map<Digest, AttestedImage>();

  constructor(store: Store, signal?: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  async attest(work: AttestedPackage): Promise<PackageAttestations> {
    const attestations = await this.#attest(work);
    for (const [index, image] of work.images.entries()) {
      const sbom = attestations.images[index]?.sbom;
      this.#known.set(image.descriptor.digest, {
        ...image,
        ...(sbom === undefined ? {} : { sbom }),
      });
    }
    return attestations;
  }

  async #attest(work: AttestedPackage): Promise<PackageAttestations> {
    const note = cacheFilePath(this.#store, 'records', recordKey(work));
    const found = await this.#read(note);
    if (found !== undefined) return found;
    const { AttestationWriter } = await import('./attestation-writer.ts');
    const writer = new AttestationWriter(this.#store, this.#known, this.#signal);
    const written = await writer.write(work);
    await this.#store.addReferrer(...referrersOf(written));
    await writeCacheFile(note, [JSON.stringify(written)]);
    return written;
  }

  /** What was written for a build, if the store still has it. */
  async #read(note: string): Promise<PackageAttestations | undefined> {
    const [line] = (await readCacheFile(note)) ?? [];
    if (line === undefined) return undefined;
    const found = JSON.parse(line) as PackageAttestations;
    const present = await Promise.all([
      this.#store.use(note),
      ...referrersOf(found).map(({ digest }) => this.#store.keep(digest)),
    ]);
    return present.includes(false) ? undefined : found;
  }
}

/**
 * The documents that builds of this machine have written, by digest. Others beside an image came with it from elsewhere,
 * and are the word of whoever could write there.
 */
export async function writtenHere(store: Store): Promise<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  const names = await readdir(cacheFilePath(store, 'records', '')).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
  for (const name of names) {
    const [line] = (await readCacheFile(cacheFilePath(store, 'records', name))) ?? [];
    if (line === undefined) continue;
    for (const { digest } of referrersOf(JSON.parse(line) as PackageAttestations))
      found.add(digest);
  }
  return found;
}

function referrersOf({ index, images }: PackageAttestations): readonly Descriptor[] {
  return [...images, index].flatMap(({ sbom, provenance }) => [sbom, provenance]);
}

function recordKey({ item, hash, images, index }: AttestedPackage): string {
  const inputs = {
    version: VERSION,
    package: item.name,
    sourceHash: hash.committed,
    buildYml: digestOf(item.file.text),
    builds: images.map(({ key, descriptor }) => [key, descriptor.digest]),
    index: index.digest,
  };
  return digestHex(digestOf(canonicalJson(inputs)));
}
