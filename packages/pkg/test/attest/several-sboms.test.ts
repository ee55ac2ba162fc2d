import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debComponent, imageComponent, spdxOf, writeSbom } from '@lkt/attest';
import { openStore, parsePlatform, parseReference, writeImage } from '@lkt/oci';
import { expect, test } from 'vitest';
import type { AttestedImage } from '../../src/attest/attestations.ts';
import { KnownImages } from '../../src/attest/known-images.ts';

test('takes the contents of a base image from all of its SBOMs', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-known-images-'));
  const store = await openStore(dir.path);
  const platform = parsePlatform('linux/amd64');
  const base = await writeImage(store, { config: {}, layers: [], platform });
  const names = ['bash', 'a', 'b', 'c', 'd'];
  for (const name of names) {
    const deb = debComponent({ name, version: '1', architecture: 'amd64' });
    const document = spdxOf({
      image: imageComponent('base', base.digest, platform),
      contents: [{ component: deb }],
      generatedFrom: [],
      buildTools: [],
    });
    await store.addReferrer(await writeSbom(store, base, document));
  }
  const text = 'registry.example/base:1';
  const use = { text, platform: 'linux/amd64', parsed: parseReference(text) };
  const image = { recipe: { uses: [use] }, bases: new Map([[text, base.digest]]) };
  const [known] = await new KnownImages(store, new Map(), undefined).bases(
    image as unknown as AttestedImage,
  );
  const contents = await known?.contents();
  expect(contents?.map(({ component }) => component.name).toSorted()).toEqual(names.toSorted());
});
