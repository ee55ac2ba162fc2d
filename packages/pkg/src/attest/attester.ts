import { cacheFilePath, readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import { canonicalJson, type Digest, digestHex, digestOf, type Reporter } from '@lkt/core';
import { type Git, type Origin, readOrigin } from '@lkt/git';
import type { Store } from '@lkt/oci';
import { readOwners } from './deb-owners.ts';
import { referrersOf } from './own-attestations.ts';
import type { AttestedImage, AttestedPackage, PackageAttestations } from './attestations.ts';

/** Increase it with every change that makes other documents for an unchanged build. */
const VERSION = 10;

/**
 * Writes SBOM and provenance of packages as referrers of their images: of the manifest of each
 * platform, and of the index. Reuses the documents of an earlier run of the same build, which costs
 * one small read.
 *
 * Attest a package after the packages that it uses.
 */
export class Attester {
  readonly #store: Store;
  readonly #git: Git;
  readonly #reporter: Reporter;
  readonly #signal: AbortSignal | undefined;
  /** Packages with the same base image have the same warnings about it. */
  readonly #warnings = new Set<string>();
  /** Keyed by manifest digest. */
  readonly #known = new Map<Digest, AttestedImage>();

  constructor(store: Store, git: Git, reporter: Reporter, signal?: AbortSignal) {
    this.#store = store;
    this.#git = git;
    this.#reporter = reporter;
    this.#signal = signal;
  }

  /** @returns the attestations, and their files in the store */
  async attest(
    work: AttestedPackage,
  ): Promise<{ readonly attestations: PackageAttestations; readonly paths: readonly string[] }> {
    const note = cacheFilePath(this.#store, 'records', recordKey(work));
    const attestations = (await this.#read(work, note)) ?? (await this.#write(work, note));
    for (const [index, image] of work.images.entries()) {
      const sbom = attestations.images[index]?.sbom;
      this.#known.set(image.descriptor.digest, { ...image, sbom });
    }
    const manifests = referrersOf(attestations).map(({ digest }) => this.#store.blobPath(digest));
    return { attestations, paths: [note, ...manifests] };
  }

  async #write(work: AttestedPackage, note: string): Promise<PackageAttestations> {
    const { writeAttestations } = await import('./attestation-writer.ts');
    const written = await writeAttestations(
      work,
      this.#store,
      this.#known,
      await this.#origin(work),
      { warn: (text) => this.#warn(text), signal: this.#signal },
    );
    await this.#store.addReferrer(...referrersOf(written));
    await writeCacheFile(this.#store, note, [JSON.stringify(written)]);
    return written;
  }

  #warn(text: string): void {
    if (this.#warnings.has(text)) return;
    this.#warnings.add(text);
    this.#reporter.emit({ kind: 'warning', text });
  }

  /** Returns the repository and commit of the package; undefined if they lack its sources. */
  async #origin({ item, hash }: AttestedPackage): Promise<Origin | undefined> {
    if (hash.dirty || hash.hash === '' || hash.hash !== hash.committed) return undefined;
    return readOrigin(this.#git, item.dir, this.#signal);
  }

  /** Returns the attestations that were recorded for a build, if the store still has them. */
  async #read({ images }: AttestedPackage, note: string): Promise<PackageAttestations | undefined> {
    const [line] = readCacheFile(this.#store, note) ?? [];
    if (line === undefined) return undefined;
    // Packages built from the images need the owners of their files.
    for (const { descriptor, lock } of images)
      if (lock === undefined && readOwners(this.#store, descriptor.digest) === undefined)
        return undefined;
    const found = JSON.parse(line) as PackageAttestations;
    const present = await Promise.all([
      this.#store.use(note),
      ...referrersOf(found).map(({ digest }) => this.#store.keep(digest)),
    ]);
    return present.includes(false) ? undefined : found;
  }
}

function recordKey({ item, hash, images, index, taken }: AttestedPackage): string {
  const inputs = {
    version: VERSION,
    package: item.name,
    sourceHash: hash.committed,
    buildYml: digestOf(item.file.text),
    builds: images.map(({ key, descriptor }) => [key, descriptor.digest]),
    index: index.digest,
    ...(taken.length > 0 && { taken }),
  };
  return digestHex(digestOf(canonicalJson(inputs)));
}
