import {
  contentsOf,
  findAttestations,
  imageComponent,
  type KnownImage,
  parseSpdx,
  readAttestation,
  spdxPackage,
} from '@lkt/attest';
import { cacheFilePath, readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex, undefinedIf } from '@lkt/core';
import { debFiles, type DebianLock } from '@lkt/debian';
import { familiarReference, loadImage, parsePlatform, type RawPath, type Store } from '@lkt/oci';
import type { AttestedImage } from './attestations.ts';
import { debsOf } from './deb-components.ts';
import { ownerLine } from './deb-owners.ts';

/** Finds the contents and file owners of the images that packages are built from. */
export class KnownImages {
  readonly #store: Store;
  readonly #known: ReadonlyMap<Digest, AttestedImage>;
  readonly #signal: AbortSignal | undefined;

  /** @param known images of packages by manifest digest */
  constructor(
    store: Store,
    known: ReadonlyMap<Digest, AttestedImage>,
    signal: AbortSignal | undefined,
  ) {
    this.#store = store;
    this.#known = known;
    this.#signal = signal;
  }

  /** Returns the images that a Dockerfile references, each once. */
  async bases({ recipe, bases }: AttestedImage): Promise<readonly KnownImage[]> {
    const found = new Map<Digest, KnownImage>();
    for (const use of recipe?.uses ?? []) {
      const digest = bases.get(use.text);
      if (digest === undefined) continue;
      const platform = parsePlatform(use.platform);
      const name = familiarReference({ domain: use.parsed.domain, path: use.parsed.path });
      const component = imageComponent(name, digest, platform);
      const image = await loadImage(this.#store, digest, platform).catch(undefinedIf('NOT_FOUND'));
      const manifest = image?.descriptor.digest ?? digest;
      found.set(manifest, { ...this.#knowledge(manifest), component, image });
    }
    return [...found.values()];
  }

  /**
   * Returns functions that read contents and owners. Of a foreign image only an SBOM beside it is
   * known.
   */
  #knowledge(manifest: Digest): Pick<KnownImage, 'contents' | 'ownerOf'> {
    const made = this.#known.get(manifest);
    return {
      contents: async () => this.#contents(manifest),
      ownerOf:
        made === undefined
          ? async () => undefined
          : made.lock === undefined
            ? this.#dockerfileOwners(made)
            : this.#debianOwners(manifest, made.lock),
    };
  }

  async #contents(image: Digest): ReturnType<KnownImage['contents']> {
    const sbom =
      this.#known.get(image)?.sbom ?? (await findAttestations(this.#store, image, 'sbom'))[0];
    if (sbom === undefined) return undefined;
    return contentsOf(parseSpdx(await readAttestation(this.#store, sbom)));
  }

  #dockerfileOwners(made: AttestedImage): KnownImage['ownerOf'] {
    const image = made.descriptor.digest;
    const read = once(async () => {
      const components = new Map(
        ((await this.#contents(image)) ?? []).map(({ component }) => [
          spdxPackage(component).SPDXID,
          component,
        ]),
      );
      const lines =
        readCacheFile(this.#store, cacheFilePath(this.#store, 'owners', digestHex(image))) ?? [];
      const owners = new Map(
        lines.map((line) => {
          const blank = line.indexOf(' ');
          return [
            JSON.parse(line.slice(blank + 1)) as RawPath,
            components.get(line.slice(0, blank)),
          ];
        }),
      );
      return { owners, bases: await this.bases(made) };
    });
    return async (path, size) => {
      const { owners, bases } = await read();
      const own = owners.get(path);
      if (own !== undefined) return own;
      for (const base of bases) {
        const owner = await base.ownerOf(path, size);
        if (owner !== undefined) return owner;
      }
      return undefined;
    };
  }

  #debianOwners(image: Digest, lock: DebianLock): KnownImage['ownerOf'] {
    const debs = new Map(debsOf(lock).map(([{ name }, component]) => [name, component]));
    const read = once(async () => {
      const path = cacheFilePath(this.#store, 'owners', digestHex(image));
      const lines =
        readCacheFile(this.#store, path) ??
        (await writeCacheFile(this.#store, path, await this.#debLines(lock)));
      return new Map(
        lines.map((line) => {
          const [name = '', ...rest] = line.split(' ');
          return [rest.join(' '), debs.get(name)];
        }),
      );
    });
    return async (path, size) => (await read()).get(`${size} ${JSON.stringify(path)}`);
  }

  async #debLines(lock: DebianLock): Promise<readonly string[]> {
    const files = Array.fromAsync(debFiles(lock, this.#store, this.#signal));
    // The store may have removed the .debs since the build. The files then count as the image's
    // own.
    return ((await files.catch(undefinedIf('NOT_FOUND'))) ?? []).map(ownerLine);
  }
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return async () => (promise ??= run());
}
