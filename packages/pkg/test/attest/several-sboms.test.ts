import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  debComponent,
  imageComponent,
  provenanceOf,
  readSboms,
  spdxOf,
  writeProvenance,
  writeSbom,
} from '@lkt/attest';
import {
  type Descriptor,
  openStore,
  parsePlatform,
  parseReference,
  type Store,
  writeImage,
  writeIndex,
} from '@lkt/oci';
import { expect, test } from 'vitest';
import { writeAttestations } from '../../src/attest/attestation-writer.ts';
import type { AttestedImage, AttestedPackage } from '../../src/attest/attestations.ts';
import { KnownImages } from '../../src/attest/known-images.ts';

const platform = parsePlatform('linux/amd64');
const NAMES = ['a', 'b', 'bash', 'c', 'd'];

/** Attaches an SBOM for each of `NAMES`; they are read in the order of their digests. */
async function attachSboms(store: Store, image: Descriptor): Promise<void> {
  for (const name of NAMES) {
    const deb = debComponent({ name, version: '1', architecture: 'amd64' });
    const document = spdxOf({
      image: imageComponent('image', image.digest, platform),
      contents: [{ component: deb }],
      generatedFrom: [],
      buildTools: [],
    });
    await store.addReferrer(await writeSbom(store, image, document));
  }
}

test('takes the contents of a base image from all of its SBOMs', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-known-images-'));
  const store = await openStore(dir.path);
  const base = await writeImage(store, { config: {}, layers: [], platform });
  await attachSboms(store, base);
  const text = 'registry.example/base:1';
  const use = { text, platform: 'linux/amd64', parsed: parseReference(text) };
  const image = { recipe: { uses: [use] }, bases: new Map([[text, base.digest]]) };
  const [known] = await new KnownImages(store, new Map(), undefined).bases(
    image as unknown as AttestedImage,
  );
  const contents = await known?.contents();
  expect(contents?.map(({ component }) => component.name).toSorted()).toEqual(NAMES);
});

test('merges all SBOMs of an image for another platform into that of the index', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-known-images-'));
  const store = await openStore(dir.path);
  const other = await writeImage(store, { config: {}, layers: [], platform });
  await attachSboms(store, other);
  const statement = provenanceOf({
    subjects: [{ name: 'lkt/app', digest: other.digest }],
    parameters: { package: 'lkt/app', sourceHash: '', platforms: ['linux/amd64'] },
    dependencies: [],
  });
  await store.addReferrer(await writeProvenance(store, other, statement));
  const index = await writeIndex(store, [other]);
  const work = { item: { name: 'lkt/app' }, index, images: [], others: [other] };
  const { index: written } = await writeAttestations(
    work as unknown as AttestedPackage,
    store,
    new Map(),
    undefined,
    undefined,
  );
  const [document] = await readSboms(store, [written.sbom]);
  expect(document?.packages.map(({ name }) => name)).toEqual(expect.arrayContaining(NAMES));
});
