import {
  describeImage,
  type ExternalParameters,
  findAttestations,
  imageComponent,
  type KnownImage,
  mergeSpdx,
  provenanceOf,
  type ProvenanceStatement,
  parseSpdx,
  readAttestation,
  type SpdxDocument,
  spdxOf,
  spdxPackage,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import { cacheFilePath, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex, digestSet } from '@lkt/core';
import type { Origin } from '@lkt/git';
import { type Descriptor, formatPlatform, loadImage, type Platform, type Store } from '@lkt/oci';
import type {
  Attestations,
  AttestedImage,
  AttestedPackage,
  OtherImage,
  PackageAttestations,
} from './attestations.ts';
import { archivedComponents, dependenciesOf } from './build-dependencies.ts';
import { debPartsOf } from './deb-components.ts';
import { readDebMetadata } from './deb-metadata.ts';
import { inspectOptions } from './inspect-options.ts';
import { KnownImages } from './known-images.ts';
import { ownAttestations } from './own-attestations.ts';
import { spdxSboms, storedSboms, withoutBroken } from './stored-sboms.ts';

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
  { warn, signal }: WriteOptions,
): Promise<PackageAttestations> {
  const knowledge = new KnownImages(store, known, warn, signal);
  const images: Attestations[] = [];
  for (const image of work.images) {
    const bases = await knowledge.bases(image);
    const document = await imageSbom(work, image, bases, store, signal);
    const statement = imageProvenance(work, image, bases, origin);
    images.push(await writeDocuments(store, image.descriptor, document, statement));
  }
  return { index: await attestIndex(work, images, store, { warn, signal }), images };
}

interface WriteOptions {
  /** Receives warnings about SBOMs that others attached to an image. */
  readonly warn: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
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
  { item, hash, index, others }: AttestedPackage,
  attested: readonly Attestations[],
  store: Store,
  options: WriteOptions,
): Promise<Attestations> {
  const documents: SpdxDocument[] = [];
  for (const { sbom } of attested) documents.push(parseSpdx(await readAttestation(store, sbom)));
  const built: BuildDefinition[] = [];
  for (const { provenance } of attested) built.push(await readDefinition(store, provenance));
  const own = others.length === 0 ? new Set<Digest>() : await ownAttestations(store);
  for (const other of others) {
    const { digest, platform } = other;
    documents.push(...(await otherSboms(item.name, other, store, options)));
    const found: BuildDefinition[] = [];
    for (const referrer of await findAttestations(store, digest, 'provenance'))
      if (own.has(referrer.digest)) found.push(await readDefinition(store, referrer));
    const same = found.filter(
      ({ externalParameters: one }) =>
        one.package === item.name && one.sourceHash === hash.committed,
    );
    // Anyone may have written a statement from a registry. The image itself is then the input.
    built.push(...(same.length > 0 ? same : [imageAsInput(item.name, digest, platform)]));
  }
  const [first] = built;
  if (first === undefined) throw new Error(`${item.name} has no images`);
  const statement = provenanceOf({
    subjects: [{ name: item.name, digest: index.digest }],
    parameters: {
      ...first.externalParameters,
      package: item.name,
      sourceHash: hash.committed,
      platforms: [...new Set(built.flatMap((one) => one.externalParameters.platforms))],
    },
    dependencies: built.flatMap((one) => one.resolvedDependencies),
  });
  const whole = imageComponent(item.name, index.digest);
  return writeDocuments(store, index, mergeSpdx(whole, documents, 'VARIANT_OF'), statement);
}

/**
 * Returns the SBOMs of an image for another platform: those of builds here, else that of its
 * layers, and what SBOMs that others attached add.
 */
async function otherSboms(
  name: string,
  { digest, platform }: OtherImage,
  store: Store,
  { warn, signal }: WriteOptions,
): Promise<readonly SpdxDocument[]> {
  const stored = await storedSboms(store, digest);
  const sboms = await withoutBroken(stored, name, parseSpdx, warn);
  const { known, added } = await spdxSboms(sboms, async () => {
    const image = await loadImage(store, digest, platform);
    const { contents } = await describeImage(store, image, [], await inspectOptions(signal));
    const component = imageComponent(name, digest, platform);
    return spdxOf({ image: component, contents, generatedFrom: [], buildTools: [] });
  });
  return [...known, ...added];
}

type BuildDefinition = Pick<
  ProvenanceStatement['predicate']['buildDefinition'],
  'resolvedDependencies'
> & {
  readonly externalParameters: Pick<ExternalParameters, 'platforms'> & Partial<ExternalParameters>;
};

/** Reads a statement that a build on this machine wrote. */
async function readDefinition(store: Store, referrer: Descriptor): Promise<BuildDefinition> {
  const text = (await readAttestation(store, referrer)).toString('utf8');
  return (JSON.parse(text) as ProvenanceStatement).predicate.buildDefinition;
}

function imageAsInput(name: string, digest: Digest, platform: Platform): BuildDefinition {
  const { purl: uri } = imageComponent(name, digest, platform);
  return {
    externalParameters: { platforms: [formatPlatform(platform)] },
    resolvedDependencies: [{ name, uri, digest: digestSet(digest) }],
  };
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
