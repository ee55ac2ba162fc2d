import {
  describeImage,
  findAttestations,
  imageComponent,
  type KnownImage,
  mergeSpdx,
  provenanceOf,
  type ProvenanceStatement,
  readAttestation,
  readSboms,
  type SpdxDocument,
  spdxOf,
  spdxPackage,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import { cacheFilePath, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex } from '@lkt/core';
import type { Origin } from '@lkt/git';
import { type Descriptor, formatPlatform, loadImage, type Store } from '@lkt/oci';
import type {
  Attestations,
  AttestedImage,
  AttestedPackage,
  PackageAttestations,
} from './attestations.ts';
import { archivedComponents, dependenciesOf } from './build-dependencies.ts';
import { debPartsOf } from './deb-components.ts';
import { readDebMetadata } from './deb-metadata.ts';
import { inspectOptions } from './inspect-options.ts';
import { KnownImages } from './known-images.ts';

/**
 * Writes the documents and their manifests to the store. Does not add them as referrers.
 * @param known images of packages by manifest digest, including those that the package uses
 * @param origin repository and commit with the sources of the package
 */
export async function writeAttestations(
  work: AttestedPackage,
  store: Store,
  known: ReadonlyMap<Digest, AttestedImage>,
  origin: Origin | undefined,
  signal: AbortSignal | undefined,
): Promise<PackageAttestations> {
  const knowledge = new KnownImages(store, known, signal);
  const images: Attestations[] = [];
  for (const image of work.images) {
    const bases = await knowledge.bases(image);
    const document = await imageSbom(work, image, bases, store, signal);
    const statement = imageProvenance(work, image, bases, origin);
    images.push(await writeDocuments(store, image.descriptor, document, statement));
  }
  return { index: await attestIndex(work, images, store), images };
}

function imageProvenance(
  { item, hash }: AttestedPackage,
  image: AttestedImage,
  bases: readonly KnownImage[],
  origin: Origin | undefined,
): ProvenanceStatement {
  return provenanceOf({
    subjects: [{ name: item.name, digest: image.descriptor.digest }],
    parameters: {
      package: item.name,
      sourceHash: hash.committed,
      platforms: [formatPlatform(image.platform)],
      ...(image.recipe !== undefined && {
        dockerfile: item.dockerfile,
        buildArgs: Object.fromEntries(image.recipe.buildArgs),
        network: item.network,
        secrets: item.secrets.map(({ id }) => id).toSorted(),
        target: item.target?.stage,
      }),
    },
    dependencies: dependenciesOf(item, image, bases, origin),
  });
}

async function imageSbom(
  { item }: AttestedPackage,
  { descriptor, platform, contextDigest, archived, lock }: AttestedImage,
  bases: readonly KnownImage[],
  store: Store,
  signal: AbortSignal | undefined,
): Promise<SpdxDocument> {
  const component = imageComponent(item.name, descriptor.digest, platform);
  if (lock !== undefined) {
    const metadata = await readDebMetadata(store, descriptor.digest, lock, signal);
    const contents = debPartsOf(lock, metadata);
    return spdxOf({ image: component, contents, generatedFrom: [], buildTools: [] });
  }
  const image = await loadImage(store, descriptor.digest, platform);
  const found = await describeImage(store, image, bases, await inspectOptions(signal));
  const owners = [...found.owners].map(
    ([path, owner]) => `${spdxPackage(owner).SPDXID} ${JSON.stringify(path)}`,
  );
  await writeCacheFile(store, cacheFilePath(store, 'owners', digestHex(descriptor.digest)), owners);
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
      ...found.compiledFrom,
    ],
    base: found.base?.component,
    buildTools: bases.map((base) => base.component).filter(({ digest }) => !took.has(digest)),
  });
}

async function attestIndex(
  { item, index, others }: AttestedPackage,
  attested: readonly Attestations[],
  store: Store,
): Promise<Attestations> {
  const images = attested.map(({ sbom, provenance }) => ({ sboms: [sbom], provenance }));
  for (const { digest } of others) {
    const sboms = await findAttestations(store, digest, 'sbom');
    const [provenance] = await findAttestations(store, digest, 'provenance');
    if (sboms.length > 0 && provenance !== undefined)
      images.push({ sboms: [...sboms], provenance });
  }
  const documents: SpdxDocument[] = [];
  const statements: ProvenanceStatement[] = [];
  for (const { sboms, provenance } of images) {
    documents.push(...(await readSboms(store, sboms)));
    const text = (await readAttestation(store, provenance)).toString('utf8');
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
  return writeDocuments(store, index, mergeSpdx(whole, documents, 'VARIANT_OF'), statement);
}

/** Writes both documents at once, because each waits for the disk. */
async function writeDocuments(
  store: Store,
  subject: Descriptor,
  document: SpdxDocument,
  statement: ProvenanceStatement,
): Promise<Attestations> {
  const [sbom, provenance] = await Promise.all([
    writeSbom(store, subject, document),
    writeProvenance(store, subject, statement),
  ]);
  return { sbom, provenance };
}
