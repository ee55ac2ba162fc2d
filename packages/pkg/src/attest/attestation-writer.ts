import {
  type Component,
  describeImage,
  findAttestations,
  imageComponent,
  type KnownImage,
  mergeSpdx,
  parseSpdx,
  provenanceOf,
  type ProvenanceStatement,
  readAttestation,
  type SpdxDocument,
  spdxOf,
  spdxPackage,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import { cacheFilePath, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex } from '@lkt/core';
import { formatPlatform, loadImage, type Store } from '@lkt/oci';
import type {
  Attestations,
  AttestedImage,
  AttestedPackage,
  PackageAttestations,
} from './attestations.ts';
import { archivedComponents, dependenciesOf } from './build-dependencies.ts';
import { debsOf } from './deb-components.ts';
import { KnownImages } from './known-images.ts';

/** Writes the attestations of one package. */
export class AttestationWriter {
  readonly #store: Store;
  readonly #knowledge: KnownImages;
  readonly #signal: AbortSignal | undefined;

  /** @param known images of packages by manifest digest, including those that the package uses */
  constructor(
    store: Store,
    known: ReadonlyMap<Digest, AttestedImage>,
    signal: AbortSignal | undefined,
  ) {
    this.#store = store;
    this.#knowledge = new KnownImages(store, known, signal);
    this.#signal = signal;
  }

  /** Writes the documents and their manifests to the store. Does not add them as referrers. */
  async write(work: AttestedPackage): Promise<PackageAttestations> {
    const images: Attestations[] = [];
    for (const image of work.images) images.push(await this.#image(work, image));
    return { index: await this.#index(work, images), images };
  }

  async #image(work: AttestedPackage, image: AttestedImage): Promise<Attestations> {
    const { item } = work;
    const subject = image.descriptor;
    const component = imageComponent(item.name, subject.digest, image.platform);
    const bases = await this.#knowledge.bases(image);
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
        sourceHash: work.hash.committed,
        platforms: [formatPlatform(image.platform)],
        ...(image.recipe !== undefined && {
          dockerfile: item.dockerfile,
          buildArgs: Object.fromEntries(image.recipe.buildArgs),
          network: item.network,
          secrets: item.secrets.map(({ id }) => id).toSorted(),
          target: item.target?.stage,
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
    await writeCacheFile(
      cacheFilePath(this.#store, 'owners', digestHex(descriptor.digest)),
      owners,
    );
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
}
