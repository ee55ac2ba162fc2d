import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  debComponent,
  imageComponent,
  provenanceOf,
  parseSpdx,
  readAttestation,
  type ResourceDescriptor,
  spdxOf,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import { cacheFilePath, writeCacheFile } from '@lkt/attest/cache-file';
import { digestSet } from '@lkt/core';
import {
  type Descriptor,
  type EntryToWrite,
  openStore,
  parsePlatform,
  parseReference,
  singleChunk,
  type Store,
  writeImage,
  writeIndex,
  writeLayer,
  writeReferrer,
} from '@lkt/oci';
import { expect, test } from 'vitest';
import { writeAttestations } from '../../src/attest/attestation-writer.ts';
import type {
  AttestedImage,
  AttestedPackage,
  Attestations,
} from '../../src/attest/attestations.ts';
import { KnownImages } from '../../src/attest/known-images.ts';

const platform = parsePlatform('linux/amd64');
const SOURCE_HASH = 'f'.repeat(40);
const NAMES = ['a', 'b', 'bash', 'c', 'd'];

/** Attaches an SBOM for each of `NAMES`; they are read in the order of their digests. */
async function attachSboms(store: Store, image: Descriptor): Promise<readonly Descriptor[]> {
  const attached: Descriptor[] = [];
  for (const name of NAMES) {
    const deb = debComponent({ name, version: '1', architecture: 'amd64' });
    const document = spdxOf({
      image: imageComponent('image', image.digest, platform),
      contents: [{ component: deb }],
      generatedFrom: [],
      buildTools: [],
    });
    attached.push(await writeSbom(store, image, document));
  }
  await store.addReferrer(...attached);
  return attached;
}

function fileEntry(path: string, text: string): EntryToWrite {
  const content = singleChunk(Buffer.from(text));
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
  return { path, type: 'file', size: text.length, content, ...attributes };
}

/** Writes the documents of an index with an image that was built before. */
async function attestIndex(
  store: Store,
  other: Descriptor,
  warn: (text: string) => void = () => undefined,
): Promise<Attestations> {
  const index = await writeIndex(store, [other]);
  const hash = { committed: SOURCE_HASH };
  const work = { item: { name: 'lkt/app' }, hash, index, images: [], others: [other] };
  const { index: written } = await writeAttestations(
    work as unknown as AttestedPackage,
    store,
    new Map(),
    undefined,
    { warn },
  );
  return written;
}

/** Attaches a provenance statement with one dependency. */
async function attachProvenance(
  store: Store,
  { digest, ...image }: Descriptor,
  name: string,
  sourceHash: string = SOURCE_HASH,
): Promise<Descriptor> {
  const statement = provenanceOf({
    subjects: [{ name: 'lkt/app', digest }],
    parameters: { package: 'lkt/app', sourceHash, platforms: ['linux/amd64'] },
    dependencies: [{ name, digest: { sha256: '0'.repeat(64) } }],
  });
  const referrer = await writeProvenance(store, { digest, ...image }, statement);
  await store.addReferrer(referrer);
  return referrer;
}

/** Records documents as those of builds in this store. */
async function recordOwn(store: Store, ...written: readonly Descriptor[]): Promise<void> {
  const images = written.map((one) => ({ sbom: one, provenance: one }));
  const record = { index: images[0], images };
  await writeCacheFile(store, cacheFilePath(store, 'records', 'r'), [JSON.stringify(record)]);
}

test('takes the contents of a base image from SBOMs of builds here, and more from others', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-known-images-'));
  const store = await openStore(dir.path);
  const base = await writeImage(store, { config: {}, layers: [], platform });
  const attached = await attachSboms(store, base);
  const text = 'registry.example/base:1';
  const use = { text, platform: 'linux/amd64', parsed: parseReference(text) };
  const image = { recipe: { uses: [use] }, bases: new Map([[text, base.digest]]) };
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const read = async (): Promise<(readonly string[] | undefined)[]> => {
    const [known] = await new KnownImages(store, new Map(), warn).bases(
      image as unknown as AttestedImage,
    );
    const contents = (await known?.contents())?.map(({ component }) => component);
    return [contents, await known?.claimed?.()].map((all) =>
      all?.map(({ name }) => name).toSorted(),
    );
  };
  // The layers are inspected: an SBOM of others may lack what they have.
  expect(await read()).toEqual([undefined, NAMES]);
  await recordOwn(store, ...attached.slice(0, 2));
  const [known = [], claimed = []] = await read();
  expect(known).toHaveLength(2);
  expect([...known, ...claimed].toSorted()).toEqual(NAMES);
  expect(warnings).toEqual([]);
  const broken = await writeSbom(store, base, { deep: 'not one' } as never);
  await store.addReferrer(broken);
  expect(new Set((await read()).flat())).toEqual(new Set(NAMES));
  expect(warnings).toEqual([
    `the SBOM ${broken.digest}, which others attached to registry.example/base, is not used: not a valid SPDX document: spdxVersion is not SPDX-2.3`,
  ]);
});

test('merges what layers and SBOMs of an image for another platform list into that of the index', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-known-images-'));
  const store = await openStore(dir.path);
  const layer = await writeLayer(store, [
    fileEntry('etc/os-release', 'ID=alpine\n'),
    fileEntry('lib/apk/db/installed', 'P:musl\nV:1.2.5-r9\nA:x86_64\n'),
  ]);
  const other = await writeImage(store, { config: {}, layers: [layer], platform });
  const warnings: string[] = [];
  const names = async (): Promise<readonly string[]> => {
    const { sbom } = await attestIndex(store, other, (text) => void warnings.push(text));
    const { packages } = parseSpdx(await readAttestation(store, sbom));
    return packages.map(({ name }) => name).toSorted();
  };
  expect(await names()).toEqual(['lkt/app', 'lkt/app', 'musl']);
  const attached = await attachSboms(store, other);
  expect(await names()).toEqual(expect.arrayContaining([...NAMES, 'musl']));
  const broken = await writeSbom(store, other, {} as never);
  await store.addReferrer(broken);
  expect(await names()).toEqual(expect.arrayContaining([...NAMES, 'musl']));
  expect(warnings).toEqual([expect.stringContaining(broken.digest)]);
  // One that a build wrote is complete.
  await recordOwn(store, ...attached.slice(0, 1));
  expect(await names()).not.toContain('musl');
});

test('takes inputs of an image for another platform only from a provenance that was written here', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-known-images-'));
  const store = await openStore(dir.path);
  const other = await writeImage(store, { config: {}, layers: [], platform });
  for (const name of ['a', 'b', 'c', 'd']) await attachProvenance(store, other, name);
  // No statement of lkt.
  const artifactType = 'application/vnd.in-toto+json';
  const layers = [{ mediaType: artifactType, ...(await store.writeBytes(Buffer.from('{}'))) }];
  const annotations = { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v1' };
  await store.addReferrer(
    await writeReferrer(store, { subject: other, artifactType, layers, annotations }),
  );
  const inputs = async (): Promise<readonly ResourceDescriptor[]> => {
    const { provenance } = await attestIndex(store, other);
    const statement = JSON.parse((await readAttestation(store, provenance)).toString());
    const { externalParameters, resolvedDependencies } = statement.predicate.buildDefinition;
    expect(externalParameters).toEqual({
      package: 'lkt/app',
      sourceHash: SOURCE_HASH,
      platforms: ['linux/amd64'],
    });
    return resolvedDependencies;
  };
  const [image, ...more] = await inputs();
  expect(image).toMatchObject({ name: 'lkt/app', digest: digestSet(other.digest) });
  expect(more).toEqual([]);

  await recordOwn(
    store,
    await attachProvenance(store, other, 'own'),
    await attachProvenance(store, other, 'older', 'of other sources'),
  );
  expect((await inputs()).map(({ name }) => name)).toEqual(['own']);
});
