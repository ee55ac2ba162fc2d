import {
  type Component,
  contentsOf,
  debComponent,
  describeImage,
  findAttestations,
  imageComponent,
  type KnownImage,
  mergeSpdx,
  parseSpdx,
  provenanceOf,
  type ProvenanceStatement,
  readAttestation,
  type ResourceDescriptor,
  type SpdxDocument,
  spdxOf,
  spdxPackage,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import { noteFile, readNote, writeNote } from '@lkt/attest/notes';
import { type CopyStep, evaluate, gitSource } from '@lkt/build';
import { type Digest, digestHex, digestOf, LktError } from '@lkt/core';
import { type DebFile, debFiles, type DebianLock, type LockedPackage } from '@lkt/debian';
import {
  familiarReference,
  formatPlatform,
  loadImage,
  parsePlatform,
  type Platform,
  type RawPath,
  type Store,
} from '@lkt/oci';
import type {
  Attestations,
  AttestedImage,
  AttestedPackage,
  PackageAttestations,
} from './attest.ts';
import { ownerLine } from './deb-owners.ts';
import type { Package } from './workspace.ts';

/** Makes the documents about one package. */
export class AttestationWriter {
  readonly #store: Store;
  readonly #known: ReadonlyMap<Digest, AttestedImage>;
  readonly #signal: AbortSignal | undefined;

  /** @param known images of packages, by the digests of their manifests: what a package uses is among them */
  constructor(
    store: Store,
    known: ReadonlyMap<Digest, AttestedImage>,
    signal: AbortSignal | undefined,
  ) {
    this.#store = store;
    this.#known = known;
    this.#signal = signal;
  }

  /** Writes the documents and their manifests; they are no referrers of the store yet. */
  async write(work: AttestedPackage): Promise<PackageAttestations> {
    const images: Attestations[] = [];
    for (const image of work.images) images.push(await this.#image(work, image));
    return { index: await this.#index(work, images), images };
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
    { descriptor, platform, contextDigest, archived }: AttestedImage,
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
        ...archivedComponents(archived, platform),
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
      found.set(manifest, { ...this.#knowledge(manifest), component, image });
    }
    return [...found.values()];
  }

  /** What can be found out about an image. Of one from elsewhere no more than an SBOM that came with it. */
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

function debsOf({ suite, packages }: DebianLock): readonly (readonly [LockedPackage, Component])[] {
  return packages.map((item) => {
    const { version, architecture, digest, archive, path } = item;
    const name = item.name.replace(/^src:/, '');
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
  image: AttestedImage,
  bases: readonly KnownImage[],
): readonly ResourceDescriptor[] {
  const { recipe, contextDigest, lock } = image;
  return [
    resource('build.yml', digestOf(item.file.text)),
    ...(recipe === undefined
      ? []
      : [resource('Dockerfile', digestOf(recipe.dockerfile.file.text))]),
    ...(contextDigest === undefined ? [] : [resource('context', contextDigest)]),
    ...bases.flatMap(({ component: { name, digest, purl } }) =>
      digest === undefined ? [] : [resource(name, digest, purl)],
    ),
    ...archivedComponents(image.archived, image.platform).map(({ name, digest, purl }) =>
      resource(name, digest, purl),
    ),
    ...remotesOf(item, image, bases),
    ...(lock === undefined
      ? []
      : debsOf(lock).map(([{ name, digest }, { purl }]) => resource(name, digest, purl))),
  ];
}

/** Images that were put into the build context. */
function archivedComponents(archived: AttestedImage['archived'], platform: Platform) {
  return archived.map(({ reference: { domain, path, digest } }) => ({
    ...imageComponent(familiarReference({ domain, path }), digest, platform),
    digest,
  }));
}

/** What ADD fetches: it has to say the checksum of a file, and the commit of a repository. */
function remotesOf(
  item: Package,
  { recipe, platform, bases: digests }: AttestedImage,
  bases: readonly KnownImage[],
): readonly ResourceDescriptor[] {
  if (recipe === undefined) return [];
  const { stages } = evaluate(recipe.dockerfile, {
    buildArgs: recipe.buildArgs,
    platform,
    ...(item.target === undefined ? {} : { target: item.target.stage }),
    imageConfig: ({ text }) =>
      bases.find(({ component }) => component.digest === digests.get(text))?.image?.config.config,
  });
  return stages
    .flatMap(({ steps }) => steps)
    .flatMap((step) => (step.kind !== 'add' ? [] : remoteResource(step)));
}

function remoteResource(step: CopyStep): readonly ResourceDescriptor[] {
  const git = gitSource(step);
  if (git !== undefined) return [{ uri: gitUri(git.remote), digest: { gitCommit: git.commit } }];
  const { checksum } = step;
  return step.sources.flatMap(({ kind, text }) =>
    kind === 'http' && checksum !== undefined
      ? [{ uri: text, digest: { sha256: checksum.replace(/^sha256:/, '') } }]
      : [],
  );
}

/** As SPDX's download locations: `git+https://…`. */
function gitUri(remote: string): string {
  // What ssh takes for a host and a path is no URI.
  const [, host, path] = /^([^/:]+@[^/:]+):(.*)$/.exec(remote) ?? [];
  return `git+${host === undefined ? remote : `ssh://${host}/${path}`}`;
}

function resource(name: string, digest: Digest, uri?: string): ResourceDescriptor {
  return { name, ...(uri === undefined ? {} : { uri }), digest: { sha256: digestHex(digest) } };
}

function ifMissing(error: unknown): undefined {
  if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return async () => (promise ??= run());
}
