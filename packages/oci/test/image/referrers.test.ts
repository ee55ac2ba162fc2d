import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { type Descriptor, type Store } from '../../src/index.ts';
import { failure, withStore } from '../support.ts';
import { SBOM, image, attach } from './referrers-fixture.ts';

async function indexJson(store: Store): Promise<{ manifests: Descriptor[] }> {
  return JSON.parse(await readFile(join(store.dir, 'index.json'), 'utf8')) as {
    manifests: Descriptor[];
  };
}

test('finds referrers by subject and type, once each, without tagging them', async () => {
  await withStore(async (store) => {
    const { manifest, index } = await image(store, 'a');
    const sbom = await attach(store, manifest, 'sbom');
    const signature = await attach(store, manifest, 'signature', 'application/x-signature');
    await attach(store, index, 'of the index');
    expect(await attach(store, manifest, 'sbom')).toEqual(sbom);
    expect(sbom).toMatchObject({
      artifactType: SBOM,
      annotations: { 'org.example.text': 'sbom' },
    });
    expect(await store.referrers(manifest.digest, SBOM)).toEqual([sbom]);
    expect(await store.referrers(manifest.digest)).toEqual(
      [sbom, signature].toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
    );
    expect(await store.referrers(digestOf('other'))).toEqual([]);
    expect((await store.tags()).map(({ reference }) => reference)).toEqual(['docker.io/lkt/a:1']);
    expect((await indexJson(store)).manifests).toHaveLength(4);
    await failure('NOT_FOUND', store.addReferrer({ ...sbom, size: sbom.size + 1 }));
    // The bytes depend on neither time nor location.
    expect(sbom.digest).toBe(
      'sha256:cf646d3dd0f4d728d8af6bc9399387e1f364e2c6d6ed9732b36c27d5b84a7800',
    );
  });
});

test('adding no referrer does not wait for the index', async () => {
  await withStore(async (store) => {
    await store.withLock('index', async () => store.addReferrer());
  });
});

test('prune keeps the referrers of kept manifests, recursively, and removes the others', async () => {
  await withStore(async (store) => {
    const kept = await image(store, 'kept');
    const gone = await image(store, 'gone');
    const sbom = await attach(store, kept.manifest, 'sbom');
    const signature = await attach(store, sbom, 'signature of the sbom');
    const lost = await attach(store, gone.manifest, 'lost');
    const lostToo = await attach(store, lost, 'lost too');
    expect((await store.prune([])).removed).toEqual([]);
    await store.untag('docker.io/lkt/gone:1');
    await store.prune([]);
    for (const { digest } of [sbom, signature]) expect(await store.has(digest)).toBe(true);
    for (const { digest } of [lost, lostToo, gone.manifest])
      expect(await store.has(digest)).toBe(false);
    expect((await indexJson(store)).manifests.map(({ digest }) => digest).toSorted()).toEqual(
      [kept.index.digest, sbom.digest, signature.digest].toSorted(),
    );
    expect((await store.verify()).bad).toEqual([]);
  });
});

test('verify removes a damaged referrer, which a search reports', async () => {
  await withStore(async (store) => {
    const { manifest } = await image(store, 'a');
    const sbom = await attach(store, manifest, 'sbom');
    const path = store.blobPath(sbom.digest);
    await writeFile(path, 'x'.repeat(sbom.size));
    expect((await store.verify()).bad).toEqual([{ digest: sbom.digest, path }]);
    await failure('DIGEST_MISMATCH', store.referrers(manifest.digest));
    await store.verify({ remove: true });
    expect(await store.referrers(manifest.digest)).toEqual([]);
  });
});

test('reads no manifests of referrers to other images, unless an entry lacks the subject', async () => {
  await withStore(async (store) => {
    const { manifest, index } = await image(store, 'a');
    const sbom = await attach(store, manifest, 'sbom');
    const other = await attach(store, index, 'of the index');
    const blob = store.blobPath(other.digest);
    const bytes = await readFile(blob);
    await rm(blob);
    await writeFile(blob, 'damaged');
    expect(await store.referrers(manifest.digest)).toEqual([sbom]);
    await failure('DIGEST_MISMATCH', store.referrers(index.digest));
    await rm(blob);
    await writeFile(blob, bytes);
    const document = await indexJson(store);
    const plain = document.manifests.map(({ annotations, ...rest }) => {
      const { 'dev.lkt.subject': _subject, ...others } = annotations ?? {};
      return { ...rest, annotations: others };
    });
    await writeFile(
      join(store.dir, 'index.json'),
      JSON.stringify({ ...document, manifests: plain }),
    );
    expect(await store.referrers(index.digest)).toEqual([other]);
  });
});

test('rereads an index that another program has just written', async () => {
  await withStore(async (store) => {
    await image(store, 'a');
    await sleep(100);
    for (const name of ['b', 'c', 'd', 'e']) {
      expect(await store.tags()).toHaveLength(1);
      const text = await readFile(join(store.dir, 'index.json'), 'utf8');
      await writeFile(join(store.dir, 'index.json'), text.replace(/lkt\/.:1/, `lkt/${name}:1`));
      expect((await store.tags())[0]?.reference).toBe(`docker.io/lkt/${name}:1`);
    }
  });
});
