import { rmSync, writeFileSync } from 'node:fs';
import { writeProvenance, provenanceOf, writeSbom } from '@lkt/attest';
import { digestOf } from '@lkt/core';
import {
  parseManifest,
  parseReference,
  singleChunk,
  type Store,
  toRaw,
  writeImage,
  writeLayer,
} from '@lkt/oci';
import { generateKey, keySigner, readSigningKey, signImage } from '@lkt/sign';
import { describe, expect, it } from 'vitest';
import { listedPackages } from '../src/compare-packages.ts';
import { summarizeSignatures } from '../src/signatures.ts';
import { viewStored } from '../src/store-view.ts';
import { PLATFORM, sbom, sha256, storeImage, summary, tempStore } from './support.ts';

async function addProvenance(
  store: Store,
  subject: Awaited<ReturnType<typeof storeImage>>,
  name = 'example/app',
): Promise<void> {
  const digest = { sha256: sha256('x') };
  const statement = provenanceOf({
    subjects: [{ name: 'app', digest: subject.digest }],
    parameters: { package: name, platforms: ['linux/amd64'] },
    dependencies: [
      { name: 'Dockerfile', digest },
      { uri: 'pkg:docker/alpine@3', digest },
      { uri: 'pkg:docker/undigested' },
    ],
  });
  await store.addReferrer(await writeProvenance(store, subject, statement));
}

describe('viewStored', () => {
  it('reads config, files, SBOM and provenance', async () => {
    const store = await tempStore();
    const subject = await storeImage(store, { 'etc/': '', 'etc/motd': 'hello' }, { User: 'app' });
    await store.addReferrer(await writeSbom(store, subject, sbom([{ name: 'busybox' }])));
    await addProvenance(store, subject);
    const view = await viewStored(store, 'example/app:1', subject, PLATFORM);
    expect(view).toMatchObject({
      kind: 'image',
      name: 'example/app:1',
      digest: subject.digest,
      config: { User: 'app' },
      parameters: { platform: 'linux/amd64', package: 'example/app' },
    });
    expect(view.inputs).toEqual([
      { name: 'Dockerfile', digest: digestOf('x') },
      { name: 'pkg:docker/alpine@3', digest: digestOf('x') },
    ]);
    expect(view.sbom?.packages.map(({ name }) => name)).toEqual(['busybox']);
    expect(summary(await view.files?.())).toEqual({
      '': 'directory',
      etc: 'directory',
      'etc/motd': sha256('hello'),
    });
  });

  it('applies later layers, and follows hard links', async () => {
    const store = await tempStore();
    const head = { mode: 0o644, uid: 0, gid: 0, mtime: 1, type: 'file' as const };
    const layers = [
      await writeLayer(store, [
        { ...head, path: 'a', size: 3, content: singleChunk(Buffer.from('old')) },
        { ...head, path: 'gone', size: 4, content: singleChunk(Buffer.from('gone')) },
      ]),
      await writeLayer(store, [
        { ...head, path: '.wh.gone', size: 0 },
        { ...head, path: 'a', size: 3, content: singleChunk(Buffer.from('new')) },
        { ...head, path: 'b', type: 'hardlink', link: toRaw('a'), size: 0 },
        { ...head, path: 'empty', size: 0 },
      ]),
    ];
    const subject = await writeImage(store, { config: { config: {} }, layers, platform: PLATFORM });
    const view = await viewStored(store, 'app', subject, PLATFORM);
    expect(summary(await view.files?.())).toEqual({
      '': 'directory',
      a: sha256('new'),
      b: sha256('new'),
      empty: 'file',
    });
  });

  it('lists an invalid SBOM and provenance with the reason, beside valid ones', async () => {
    const store = await tempStore();
    const subject = await storeImage(store, { a: 'a' });
    const statement = provenanceOf({
      subjects: [],
      parameters: { package: 'example/app', platforms: [] },
      dependencies: [],
    });
    const broken = { ...statement, predicate: {} } as unknown as typeof statement;
    const provenance = await writeProvenance(store, subject, broken);
    const document = await writeSbom(store, subject, {} as unknown as ReturnType<typeof sbom>);
    await store.addReferrer(provenance, document);
    await addProvenance(store, subject);
    const view = await viewStored(store, 'app', subject, PLATFORM);
    expect(view.sbom).toBeUndefined();
    expect(view.inputs).toHaveLength(2);
    expect(view.documents).toHaveLength(3);
    expect(view.documents).toEqual(
      expect.arrayContaining([
        {
          kind: 'provenance',
          digest: provenance.digest,
          problem: 'no provenance: buildDefinition is not an object',
        },
        { kind: 'SBOM', digest: document.digest, problem: expect.stringMatching(/./) },
      ]),
    );
    const [layer] = parseManifest(await store.readBytes(document)).layers;
    if (layer === undefined) throw new Error('no layer');
    const problemOf = async (): Promise<string | undefined> => {
      const { documents = [] } = await viewStored(store, 'app', subject, PLATFORM);
      return documents.find(({ digest }) => digest === document.digest)?.problem;
    };
    const path = store.blobPath(layer.digest);
    rmSync(path);
    // As long as the SBOM.
    writeFileSync(path, '[]');
    expect(await problemOf()).toContain('does not match its digest');
    rmSync(path);
    expect(await problemOf()).toContain('is not in the store');
  });

  it('reads all SBOMs and provenances', async () => {
    const store = await tempStore();
    const subject = await storeImage(store, { a: 'a' });
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) {
      await store.addReferrer(await writeSbom(store, subject, sbom([{ name }])));
      await addProvenance(store, subject, `example/${name}`);
    }
    const view = await viewStored(store, 'example/app:1', subject, PLATFORM);
    expect(
      listedPackages(view.sbom)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(names);
    const { documents = [] } = view;
    expect(documents.filter(({ kind }) => kind === 'SBOM')).toHaveLength(5);
    const provenances = documents.filter(({ kind }) => kind === 'provenance');
    expect(new Set(provenances.map(({ parameters }) => parameters?.['package']))).toEqual(
      new Set(names.map((name) => `example/${name}`)),
    );
    expect(view).toMatchObject({ parameters: provenances[0]?.parameters });
  });

  it('rejects an image that is not in the store', async () => {
    const digest = digestOf('none');
    await expect(viewStored(await tempStore(), 'app', { digest }, PLATFORM)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('summarizeSignatures', () => {
  it('names the key of a signature once', async () => {
    const store = await tempStore();
    const subject = await storeImage(store, { a: 'a' });
    const { privateKey } = await generateKey('');
    const signer = keySigner(await readSigningKey(privateKey));
    await signImage(store, { subject, name: parseReference('example.org/app:1'), signer });
    const signatures = await summarizeSignatures(store, [subject.digest, subject.digest]);
    expect(signatures).toEqual([
      { of: 'signature', by: expect.stringMatching(/^the key sha256:[0-9a-f]{64}$/) as string },
    ]);
  });

  it('returns nothing for an unsigned image', async () => {
    const store = await tempStore();
    const { digest } = await storeImage(store, { a: 'a' });
    expect(await summarizeSignatures(store, [digest])).toEqual([]);
  });
});
