import {
  type Component,
  contentsOf,
  debComponent,
  describeImage,
  findAttestations,
  imageComponent,
  type KnownImage,
  mergeSpdx,
  noteFile,
  parseSpdx,
  provenanceOf,
  type ProvenanceStatement,
  readAttestation,
  readNote,
  type ResourceDescriptor,
  type SpdxDocument,
  spdxOf,
  spdxPackage,
  writeNote,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import { canonicalJson, type Digest, digestHex, digestOf, LktError } from '@lkt/core';
import type { DebFile } from '@lkt/debian';
import type { DebianLock, LockedPackage } from '@lkt/debian/description';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  loadImage,
  parsePlatform,
  type Platform,
  type RawPath,
  type Store,
} from '@lkt/oci';
import type { Recipe } from './recipe.ts';
import type { SourceHash } from './source-hash.ts';
import type { Package } from './workspace.ts';

/** Raised by whatever changes the documents of an unchanged build. */
const VERSION = 1;

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
  /** Its build key. */
  readonly key: string;
  /** Of a package with a Dockerfile. */
  readonly contextDigest?: Digest;
  /** Of a package of .debs. */
  readonly lock?: DebianLock;
}

export interface AttestedPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  readonly images: readonly AttestedImage[];
  /** Images for other platforms that are in the index, and were attested when they were built. */
  readonly others: readonly Descriptor[];
  readonly index: Descriptor;
}

type Knowledge = Pick<KnownImage, 'contents' | 'ownerOf'>;

/**
 * Writes SBOM and provenance of packages as referrers of their images: of each platform's manifest and of the index.
 * What has been written for the same build is not made again; finding that out reads a small file for each.
 *
 * The packages that one uses come before it.
 */
export class Attester {
  readonly #store: Store;
  readonly #signal: AbortSignal | undefined;
  readonly #known = new Map<Digest, Knowledge>();

  constructor(store: Store, signal?: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  /** @returns the documents about the index, and about each of `images` */
  async attest(
    work: AttestedPackage,
  ): Promise<{ index: Attestations; images: readonly Attestations[] }> {
    const keys = work.images.map((image) => imageKey(work, image));
    const key = keyOf({ kind: 'index', index: work.index.digest, images: keys });
    for (const image of work.images) this.#remember(image);
    const present = await Promise.all([key, ...keys].map((one) => this.#read(one)));
    const [whole, ...known] = present.filter((one) => one !== undefined);
    if (whole !== undefined && known.length === keys.length) return { index: whole, images: known };

    const images: Attestations[] = [];
    for (const image of work.images) images.push(await this.#image(work, image));
    const index = await this.#index(work, images);
    await this.#store.addReferrer(
      ...[...images, index].flatMap(({ sbom, provenance }) => [sbom, provenance]),
    );
    for (const [at, one] of [key, ...keys].entries())
      await writeNote(noteFile(this.#store, 'records', one), [
        JSON.stringify(at === 0 ? index : images[at - 1]),
      ]);
    return { index, images };
  }

  /** What was written for a build, if the store still has it. */
  async #read(key: string): Promise<Attestations | undefined> {
    const [line] = (await readNote(noteFile(this.#store, 'records', key))) ?? [];
    if (line === undefined) return undefined;
    const found = JSON.parse(line) as Attestations;
    const both = await Promise.all([
      this.#store.has(found.sbom.digest),
      this.#store.has(found.provenance.digest),
    ]);
    return both.includes(false) ? undefined : found;
  }

  async #image(work: AttestedPackage, image: AttestedImage): Promise<Attestations> {
    const { item } = work;
    const subject = image.descriptor;
    const component = imageComponent(item.name, subject.digest, image.platform);
    const bases = await this.#bases(image);
    const document = await (image.lock === undefined
      ? this.#dockerfileSbom(work, image, component, bases)
      : spdxOf({
          image: component,
          contents: debsOf(image.lock).map(([, deb]) => ({ component: deb })),
          generatedFrom: [],
          buildTools: [],
        }));
    const statement = provenanceOf({
      subjects: [{ name: item.name, digest: subject.digest }],
      parameters: {
        package: item.name,
        ...(work.hash.committed === undefined ? {} : { sourceHash: work.hash.committed }),
        platforms: [formatPlatform(image.platform)],
        ...(image.recipe !== undefined && {
          dockerfile: item.dockerfile,
          buildArgs: Object.fromEntries(image.recipe.buildArgs),
          network: item.network,
          secrets: item.secrets.map(({ id }) => id).toSorted(),
          ...(item.target !== undefined && { target: item.target.stage }),
        }),
      },
      dependencies: dependenciesOf(work.item, image, bases),
    });
    return {
      sbom: await writeSbom(this.#store, subject, document),
      provenance: await writeProvenance(this.#store, subject, statement),
    };
  }

  async #dockerfileSbom(
    { item }: AttestedPackage,
    { descriptor, platform, contextDigest }: AttestedImage,
    component: Component,
    bases: readonly KnownImage[],
  ): Promise<SpdxDocument> {
    const image = await loadImage(this.#store, descriptor.digest, platform);
    const found = await describeImage(this.#store, image, bases, this.#signal);
    const owners = [...found.owners].map(
      ([path, owner]) => `${spdxPackage(owner).SPDXID} ${JSON.stringify(path)}`,
    );
    await writeNote(noteFile(this.#store, 'owners', digestHex(descriptor.digest)), owners);
    const sources = [...found.sources].filter((source) => source !== found.base);
    const took = new Set([...sources, found.base].map((one) => one?.component.digest));
    return spdxOf({
      image: component,
      contents: found.contents,
      generatedFrom: [
        ...sources.map((source) => source.component),
        ...(contextDigest === undefined
          ? []
          : [{ kind: 'source' as const, name: item.name, digest: contextDigest }]),
      ],
      base: found.base?.component,
      buildTools: bases.map((base) => base.component).filter(({ digest }) => !took.has(digest)),
    });
  }

  async #index(
    { item, index, others }: AttestedPackage,
    attested: readonly Attestations[],
  ): Promise<Attestations> {
    const images = [...attested];
    for (const { digest } of others) {
      const [sbom] = await findAttestations(this.#store, digest, 'sbom');
      const [provenance] = await findAttestations(this.#store, digest, 'provenance');
      if (sbom !== undefined && provenance !== undefined) images.push({ sbom, provenance });
    }
    const documents: SpdxDocument[] = [];
    const statements: ProvenanceStatement[] = [];
    for (const { sbom, provenance } of images) {
      documents.push(parseSpdx(await readAttestation(this.#store, sbom)));
      const text = (await readAttestation(this.#store, provenance)).toString('utf8');
      statements.push(JSON.parse(text) as ProvenanceStatement);
    }
    const definitions = statements.map(({ predicate }) => predicate.buildDefinition);
    const [first] = definitions;
    if (first === undefined) throw new Error(`${item.name} has no images`);
    const statement = provenanceOf({
      subjects: [{ name: item.name, digest: index.digest }],
      parameters: {
        ...first.externalParameters,
        platforms: definitions.flatMap((one) => one.externalParameters.platforms),
      },
      dependencies: definitions.flatMap((one) => one.resolvedDependencies),
    });
    const whole = imageComponent(item.name, index.digest);
    return {
      sbom: await writeSbom(this.#store, index, mergeSpdx(whole, documents, 'VARIANT_OF')),
      provenance: await writeProvenance(this.#store, index, statement),
    };
  }

  /** The images that a Dockerfile names, each once. */
  async #bases({ recipe, bases }: AttestedImage): Promise<readonly KnownImage[]> {
    const found = new Map<Digest, KnownImage>();
    for (const use of recipe?.uses ?? []) {
      const digest = bases.get(use.text);
      if (digest === undefined) continue;
      const platform = parsePlatform(use.platform);
      const name = familiarReference({ domain: use.parsed.domain, path: use.parsed.path });
      const component = imageComponent(name, digest, platform);
      const image = await loadImage(this.#store, digest, platform).catch(ifMissing);
      const manifest = image?.descriptor.digest ?? digest;
      const known = this.#known.get(manifest) ?? this.#foreign(manifest);
      found.set(manifest, { ...known, component, image });
    }
    return [...found.values()];
  }

  /** Says how to find out whose the files of an image are, once it is the base of another one. */
  #remember(made: AttestedImage): void {
    const { digest } = made.descriptor;
    const owners =
      made.lock === undefined
        ? this.#dockerfileOwners(made)
        : this.#debianOwners(digest, made.lock);
    this.#known.set(digest, {
      contents: async () => this.#contents(digest),
      ownerOf: async (path, size) => owners(path, size),
    });
  }

  /** An image of which only the registry it is from knows more, unless it came with an SBOM. */
  #foreign(manifest: Digest): Knowledge {
    return {
      contents: async () => this.#contents(manifest),
      ownerOf: async () => undefined,
    };
  }

  async #contents(image: Digest): ReturnType<KnownImage['contents']> {
    const [sbom] = await findAttestations(this.#store, image, 'sbom');
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
      const lines = (await readNote(noteFile(this.#store, 'owners', digestHex(image)))) ?? [];
      const owners = new Map(
        lines.map((line) => {
          const blank = line.indexOf(' ');
          return [
            JSON.parse(line.slice(blank + 1)) as RawPath,
            components.get(line.slice(0, blank)),
          ];
        }),
      );
      return { owners, bases: await this.#bases(made) };
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
      const path = noteFile(this.#store, 'owners', digestHex(image));
      const lines = (await readNote(path)) ?? (await writeNote(path, await this.#debLines(lock)));
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
    const { debFiles } = await import('@lkt/debian');
    const files: DebFile[] = [];
    try {
      for await (const file of debFiles(lock, this.#store, this.#signal)) files.push(file);
    } catch (error) {
      // The .debs need not be kept once the image is made; then its files are the image's.
      if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
      return [];
    }
    return files.map(ownerLine);
  }
}

function ownerLine({ item, path, size }: DebFile): string {
  return `${item.name} ${size} ${JSON.stringify(path)}`;
}

/** Remembers whose the files of an image of .debs are, which is known while it is made. */
export async function rememberOwners(
  store: Store,
  image: Digest,
  files: readonly DebFile[],
): Promise<void> {
  await writeNote(noteFile(store, 'owners', digestHex(image)), files.map(ownerLine));
}

function debsOf({ suite, packages }: DebianLock): readonly (readonly [LockedPackage, Component])[] {
  return packages.map((item) => {
    const { name, version, architecture, digest, archive, path } = item;
    // pool/COMPONENT/PREFIX/SOURCE/FILE
    const source = path.split('/').at(-2);
    const fileName = `${archive}/${path}`;
    return [
      item,
      debComponent({ name, version, architecture, suite, digest, source, fileName }),
    ] as const;
  });
}

function dependenciesOf(
  item: Package,
  { recipe, contextDigest, lock }: AttestedImage,
  bases: readonly KnownImage[],
): readonly ResourceDescriptor[] {
  return [
    resource('build.yml', digestOf(item.file.text)),
    ...(recipe === undefined
      ? []
      : [resource('Dockerfile', digestOf(recipe.dockerfile.file.text))]),
    ...(contextDigest === undefined ? [] : [resource('context', contextDigest)]),
    ...bases.flatMap(({ component: { name, digest, purl } }) =>
      digest === undefined ? [] : [resource(name, digest, purl)],
    ),
    ...(lock === undefined
      ? []
      : debsOf(lock).map(([{ name, digest }, { purl }]) => resource(name, digest, purl))),
  ];
}

function resource(name: string, digest: Digest, uri?: string): ResourceDescriptor {
  return { name, ...(uri === undefined ? {} : { uri }), digest: { sha256: digestHex(digest) } };
}

function imageKey({ item, hash }: AttestedPackage, image: AttestedImage): string {
  return keyOf({
    kind: 'image',
    package: item.name,
    sourceHash: hash.committed,
    buildYml: digestOf(item.file.text),
    build: image.key,
    subject: image.descriptor.digest,
  });
}

function keyOf(inputs: Readonly<Record<string, unknown>>): string {
  return digestHex(digestOf(canonicalJson({ version: VERSION, ...inputs })));
}

function ifMissing(error: unknown): undefined {
  if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return async () => (promise ??= run());
}
