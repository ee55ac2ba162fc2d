import {
  componentsIn,
  contentsOf,
  type GoSuppliers,
  imageComponent,
  type KnownImage,
  mergeSuppliers,
  parseSpdx,
  readAttestation,
  spdxPackage,
} from '@lkt/attest';
import { cacheFilePath, readCacheFile, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex, undefinedIf } from '@lkt/core';
import { debFiles, type DebianLock, SOURCE_ARCHITECTURE } from '@lkt/debian';
import { familiarReference, loadImage, parsePlatform, type RawPath, type Store } from '@lkt/oci';
import type { AttestedImage } from './attestations.ts';
import { debsOf } from './deb-components.ts';
import { type MetadataByName, readDebMetadata } from './deb-metadata.ts';
import { ownerLine } from './deb-owners.ts';
import { spdxSboms, storedSboms, withoutBroken } from './stored-sboms.ts';
import { goSuppliersOf, type OwnedFile } from './go-sources.ts';

/** Finds the contents and file owners of the images that packages are built from. */
export class KnownImages {
  readonly #store: Store;
  readonly #known: ReadonlyMap<Digest, AttestedImage>;
  readonly #warn: (text: string) => void;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param known images of packages by manifest digest
   * @param warn receives warnings about SBOMs that others attached to an image
   */
  constructor(
    store: Store,
    known: ReadonlyMap<Digest, AttestedImage>,
    warn: (text: string) => void,
    signal?: AbortSignal,
  ) {
    this.#store = store;
    this.#known = known;
    this.#warn = warn;
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
      found.set(manifest, { ...(await this.#knowledge(manifest, name)), component, image });
    }
    return [...found.values()];
  }

  /**
   * Returns functions that read contents and owners. Of a foreign image only an SBOM beside it is
   * known.
   */
  async #knowledge(
    manifest: Digest,
    name: string,
  ): Promise<Knowledge & Pick<KnownImage, 'claimed' | 'contents'>> {
    const made = this.#known.get(manifest);
    const sboms = once(async () => this.#sboms(manifest, name));
    const contents = once(async () => contentsIn(await sboms()));
    // Only SBOMs of others list these.
    const claimed = once(async () => componentsIn((await sboms()).added.flatMap(contentsOf)));
    if (made === undefined)
      return {
        contents,
        claimed,
        goSuppliers: async () => new Map(),
        sourcePackages: [],
      };
    const knowledge =
      made.lock === undefined
        ? this.#dockerfileKnowledge(made, contents)
        : this.#debianKnowledge(
            manifest,
            made.lock,
            await readDebMetadata(this.#store, manifest, made.lock, this.#signal),
          );
    return { contents, claimed, ...knowledge };
  }

  /** Returns the SBOMs; what others attached is not the whole content of an image. */
  async #sboms(image: Digest, name: string): ReturnType<typeof spdxSboms> {
    const own = this.#known.get(image)?.sbom;
    if (own === undefined) {
      const sboms = await storedSboms(this.#store, image);
      return spdxSboms(await withoutBroken(sboms, name, parseSpdx, this.#warn));
    }
    return { known: [parseSpdx(await readAttestation(this.#store, own))], added: [] };
  }

  #dockerfileKnowledge(made: AttestedImage, contents: KnownImage['contents']): Knowledge {
    const image = made.descriptor.digest;
    const bases = once(async () => this.bases(made));
    const read = once(async () => {
      const components = new Map(
        ((await contents()) ?? []).map(({ component }) => [
          spdxPackage(component).SPDXID,
          component,
        ]),
      );
      const lines =
        readCacheFile(this.#store, cacheFilePath(this.#store, 'owners', digestHex(image))) ?? [];
      return new Map(
        lines.map((line) => {
          const blank = line.indexOf(' ');
          return [
            JSON.parse(line.slice(blank + 1)) as RawPath,
            components.get(line.slice(0, blank)),
          ];
        }),
      );
    });
    return {
      ownerOf: async (path, size) => {
        const own = (await read()).get(path);
        if (own !== undefined) return own;
        for (const base of await bases()) {
          const owner = await base.ownerOf?.(path, size);
          if (owner !== undefined) return owner;
        }
        return undefined;
      },
      goSuppliers: async () => {
        const all: GoSuppliers[] = [];
        for (const base of await bases()) all.push(await base.goSuppliers());
        return mergeSuppliers(all);
      },
      sourcePackages: [],
    };
  }

  #debianKnowledge(image: Digest, lock: DebianLock, metadata: MetadataByName): Knowledge {
    const all = debsOf(lock, metadata);
    const debs = new Map(all.map(([{ name }, component]) => [name, component]));
    const lines = once(async () => {
      const path = cacheFilePath(this.#store, 'owners', digestHex(image));
      return (
        readCacheFile(this.#store, path) ??
        (await writeCacheFile(this.#store, path, await this.#debLines(lock)))
      );
    });
    const owners = once(
      async () =>
        new Map(
          (await lines()).map((line) => {
            const [name = '', ...rest] = line.split(' ');
            return [rest.join(' '), debs.get(name)];
          }),
        ),
    );
    return {
      ownerOf: async (path, size) => (await owners()).get(`${size} ${JSON.stringify(path)}`),
      goSuppliers: once(async () => goSuppliersOf((await lines()).map(ownedFile), debs)),
      sourcePackages: all
        .filter(([{ architecture }]) => architecture === SOURCE_ARCHITECTURE)
        .map(([, component]) => component),
    };
  }

  async #debLines(lock: DebianLock): Promise<readonly string[]> {
    const files = Array.fromAsync(debFiles(lock, this.#store, this.#signal));
    // The store may have removed the .debs since the build. The files then count as the image's
    // own.
    return ((await files.catch(undefinedIf('NOT_FOUND'))) ?? []).map(ownerLine);
  }
}

function contentsIn({
  known,
}: Awaited<ReturnType<typeof spdxSboms>>): Awaited<ReturnType<KnownImage['contents']>> {
  return known.length === 0 ? undefined : known.flatMap(contentsOf);
}

type Knowledge = Omit<KnownImage, 'claimed' | 'component' | 'contents' | 'image'>;

/** Parses a line of the owners file of an image made from Debian packages. */
function ownedFile(line: string): OwnedFile {
  const [owner = '', , ...rest] = line.split(' ');
  return { owner, path: JSON.parse(rest.join(' ')) as RawPath };
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return async () => (promise ??= run());
}
