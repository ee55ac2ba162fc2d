import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { digestHex, digestOf } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  type EntryWithContent,
  exportImage,
  importImages,
  loadImage,
  MediaType,
  parsePlatform,
  readTar,
  writeReferrer,
  writeTar,
} from '../../src/index.ts';
import { chunks, collect, entry, file, hardlink, symlink, thrown } from '../support.ts';
import { NAME, FULL, ARM, AMD, newStore, newImage, newIndex, exported } from './archive-fixture.ts';

describe('OCI archive', () => {
  it('moves an image of all platforms between stores with reproducible bytes', async () => {
    const store = await newStore();
    const index = await newIndex(store);
    const bytes = await exported(store, index);
    const other = await newStore();
    const { images } = await importImages(other, chunks(bytes));
    expect(images).toEqual([{ reference: FULL, descriptor: index }]);
    expect(await other.resolve(FULL)).toEqual(index);
    for (const platform of [AMD, ARM]) await loadImage(other, index.digest, platform);
    expect((await other.verify()).bad).toEqual([]);
    expect((await exported(other, index)).equals(bytes)).toBe(true);
  });

  it('preserves an index with some images missing', async () => {
    const store = await newStore();
    const index = await newIndex(store);
    const bytes = await exported(store, index, { platforms: [ARM] });
    const other = await newStore();
    await importImages(other, chunks(bytes));
    expect(await other.resolve(FULL)).toEqual(index);
    await loadImage(other, index.digest, ARM);
    expect(await thrown(loadImage(other, index.digest, AMD))).toMatchObject({ code: 'NOT_FOUND' });
    // The incomplete index can be exported again.
    expect((await exported(other, index)).equals(bytes)).toBe(true);
    const riscv = exportImage(store, index, {
      reference: NAME,
      format: 'oci',
      platforms: [parsePlatform('linux/riscv64')],
    });
    expect((await thrown(riscv)).message).toMatch(/only for linux\/amd64, linux\/arm64$/);
  });

  it('includes referrers, and referrers of referrers', async () => {
    const store = await newStore();
    const index = await newIndex(store);
    const layers = [{ mediaType: 'text/plain', ...(await store.writeBytes(Buffer.from('sbom'))) }];
    const sbom = await writeReferrer(store, { subject: index, artifactType: 'text/sbom', layers });
    const signature = await writeReferrer(store, {
      subject: sbom,
      artifactType: 'text/sig',
      layers,
    });
    await store.addReferrer(sbom, signature);
    const without = await newStore();
    await importImages(without, chunks(await exported(store, index)));
    expect(await without.referrers(index.digest)).toEqual([]);
    const other = await newStore();
    const done = await importImages(
      other,
      chunks(await exported(store, index, { referrers: true })),
    );
    expect(done).toMatchObject({ images: [{ reference: FULL }] });
    expect(done.referrers).toHaveLength(2);
    expect(await other.referrers(index.digest, 'text/sbom')).toMatchObject([
      { digest: sbom.digest },
    ]);
    expect(await other.referrers(sbom.digest)).toMatchObject([{ digest: signature.digest }]);
  });
});

describe('Docker archive', () => {
  it('accepts compressed layers that match the config', async () => {
    const { entries, layer } = await dockerArchive();
    const store = await newStore();
    const archive = [...entries(), file('a/layer.tar', gzipSync(layer))];
    const { images } = await importImages(store, writeTar(archive));
    const digest = images[0]?.descriptor.digest;
    if (digest === undefined) throw new Error('no image');
    const { manifest } = await loadImage(store, digest, AMD);
    expect(manifest.layers[0]?.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
    const cases: readonly (readonly [EntryWithContent, string])[] = [
      [file('a/layer.tar', gzipSync('other')), 'DIGEST_MISMATCH'],
      [file('a/layer.tar', 'other'), 'DIGEST_MISMATCH'],
      [file('a/layer.tar', ''), 'DIGEST_MISMATCH'],
      [symlink('a/layer.tar', '../../etc/passwd'), 'ARCHIVE_INVALID'],
      [symlink('a/layer.tar', '/etc/passwd'), 'ARCHIVE_INVALID'],
      [symlink('a/layer.tar', 'layer.tar'), 'ARCHIVE_INVALID'],
    ];
    for (const [bad, code] of cases) {
      const other = await newStore();
      expect(await thrown(importImages(other, writeTar([...entries(), bad])))).toMatchObject({
        code,
      });
      expect(await other.tags()).toEqual([]);
    }
  });
});

/** A `docker save` archive from before it wrote layouts, without the layer `a/layer.tar`. */
async function dockerArchive(): Promise<{ entries: () => EntryWithContent[]; layer: Buffer }> {
  const layer = await collect(writeTar([file('x', randomBytes(1000))]));
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
  });
  const name = `${digestHex(digestOf(config))}.json`;
  const manifest = [{ Config: name, RepoTags: ['example/app:1'], Layers: ['a/layer.tar'] }];
  return {
    entries: () => [file(name, config), file('manifest.json', JSON.stringify(manifest))],
    layer,
  };
}

function keep(path: string, content: Buffer): EntryWithContent {
  return file(path, content);
}

function withIndex(document: unknown): (path: string, content: Buffer) => EntryWithContent {
  return (path, content) => file(path, path === 'index.json' ? JSON.stringify(document) : content);
}

function configBy(author: string): string {
  const rootfs = { type: 'layers', diff_ids: [] };
  return JSON.stringify({ author, architecture: 'amd64', os: 'linux', rootfs });
}

/** Returns an archive of `docker save` with a manifest.json. */
async function docker(manifest: unknown, ...more: readonly EntryWithContent[]): Promise<Buffer> {
  return collect(writeTar([file('manifest.json', JSON.stringify(manifest)), ...more]));
}

/** Returns a valid archive after changes to its entries. */
async function changed(
  change: (path: string, content: Buffer) => EntryWithContent | undefined,
  ...more: readonly EntryWithContent[]
): Promise<Buffer> {
  const store = await newStore();
  const bytes = await exported(store, await newIndex(store));
  const entries: EntryWithContent[] = [];
  for await (const { content, ...head } of readTar(chunks(bytes))) {
    const data = content === undefined ? Buffer.alloc(0) : await collect(content);
    const made = head.type === 'file' ? change(head.path, data) : head;
    if (made !== undefined) entries.push(made);
  }
  return collect(writeTar([...entries, ...more]));
}

describe('importImages tags nothing from a hostile archive', () => {
  const cases: readonly (readonly [string, () => Promise<Buffer>, string, RegExp])[] = [
    [
      'a blob that does not match its digest',
      () =>
        changed((path, content) =>
          path.startsWith('blobs/')
            ? file(path, Buffer.concat([content, Buffer.from('x')]))
            : file(path, content),
        ),
      'DIGEST_MISMATCH',
      /not as expected/,
    ],
    [
      'a missing layer',
      () =>
        changed((path, content) =>
          content.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]))
            ? undefined
            : file(path, content),
        ),
      'NOT_FOUND',
      /the archive is incomplete: sha256:.* is missing/,
    ],
    [
      'an index without any of its images',
      () =>
        changed((path, content) =>
          content.includes('"layers"') && path.startsWith('blobs/')
            ? undefined
            : file(path, content),
        ),
      'NOT_FOUND',
      /has no image of the index/,
    ],
    ['a duplicate path', () => changed(keep, file('oci-layout', '{}')), 'ARCHIVE_INVALID', /twice/],
    [
      'a device',
      () => changed(keep, entry('dev', { type: 'char' })),
      'ARCHIVE_INVALID',
      /contains a char/,
    ],
    [
      'too much JSON',
      () => changed(keep, file('x.json', Buffer.alloc(5 * 2 ** 20))),
      'ARCHIVE_INVALID',
      /exceeds the limit for JSON files/,
    ],
    [
      'an index without images',
      () => changed(withIndex({ schemaVersion: 2, manifests: [] })),
      'ARCHIVE_INVALID',
      /contains no image/,
    ],
    [
      'an invalid index',
      () => changed(withIndex({ schemaVersion: 1 })),
      'IMAGE_INVALID',
      /schemaVersion/,
    ],
    [
      'a layout of a later version',
      () =>
        changed((path, content) =>
          path === 'oci-layout'
            ? file(path, '{"imageLayoutVersion":"2.0.0"}')
            : file(path, content),
        ),
      'UNSUPPORTED',
      /version 1\.0/,
    ],
    [
      'a name with the digest of another image',
      () =>
        changed((path, content) =>
          path === 'index.json'
            ? file(path, content.toString().replaceAll('team/app:1', `app@${digestOf('other')}`))
            : file(path, content),
        ),
      'DIGEST_MISMATCH',
      /the archive lists sha256:.* as registry\.example\/app@sha256:/,
    ],
    [
      'an index.json of a symbolic link',
      () =>
        changed((path, content) =>
          path === 'index.json' ? symlink(path, 'other') : file(path, content),
        ),
      'ARCHIVE_INVALID',
      /contains no image/,
    ],
    [
      'an index.json of a hard link',
      () =>
        changed((path, content) =>
          path === 'index.json' ? hardlink(path, 'oci-layout') : file(path, content),
        ),
      'ARCHIVE_INVALID',
      /contains no image/,
    ],
    [
      'a second index.json',
      () => changed(keep, file('index.json', '{}')),
      'ARCHIVE_INVALID',
      /twice/,
    ],
    [
      'a second index.json in another spelling',
      () => changed(keep, file('.//index.json', '{}')),
      'ARCHIVE_INVALID',
      /twice/,
    ],
    [
      'a link in place of the first index.json',
      () => changed(keep, symlink('/index.json', 'x')),
      'ARCHIVE_INVALID',
      /twice/,
    ],
    [
      'a path outside of the archive',
      () => changed(keep, file('a/../index.json', '{}')),
      'ARCHIVE_INVALID',
      /invalid path/,
    ],
    [
      'blobs that are links',
      () =>
        changed((path, content) =>
          path.startsWith('blobs/') ? symlink(path, '/etc/passwd') : file(path, content),
        ),
      'NOT_FOUND',
      /incomplete/,
    ],
    [
      'a blob under a digest in capitals',
      () =>
        changed((path, content) =>
          path.startsWith('blobs/')
            ? file(`blobs/sha256/${path.slice(-64).toUpperCase()}`, content)
            : file(path, content),
        ),
      'NOT_FOUND',
      /incomplete/,
    ],
    [
      'an index that is an image',
      () =>
        changed((path, content) =>
          path === 'index.json'
            ? file(path, content.toString().replaceAll('image.index', 'image.manifest'))
            : file(path, content),
        ),
      'IMAGE_INVALID',
      /mediaType|media type/,
    ],
    [
      'two images of one name',
      async () => {
        const store = await newStore();
        const [one, two] = [await newImage(store), await newImage(store, AMD, 'other')];
        const all = [await exported(store, one), await exported(store, two)];
        const entries = new Map<string, EntryWithContent>();
        const manifests: unknown[] = [];
        for (const bytes of all)
          for await (const { content, ...head } of readTar(chunks(bytes))) {
            const data = content === undefined ? Buffer.of() : await collect(content);
            entries.set(head.path, head.type === 'file' ? file(head.path, data) : head);
            if (head.path === 'index.json')
              manifests.push(...(JSON.parse(data.toString()) as { manifests: object[] }).manifests);
          }
        entries.set(
          'index.json',
          file('index.json', JSON.stringify({ schemaVersion: 2, manifests })),
        );
        return collect(writeTar([...entries.values()]));
      },
      'ARCHIVE_INVALID',
      /two images with the name registry\.example\/team\/app:1/,
    ],
    [
      'an artifact with the name of an image',
      async () => {
        const store = await newStore();
        const blob = await store.writeBytes(Buffer.from('{}'));
        const document = {
          schemaVersion: 2,
          mediaType: 'text/plain',
          config: { mediaType: 'text/plain', ...blob },
          layers: [],
        };
        const bytes = Buffer.from(JSON.stringify(document));
        const digest = digestOf(bytes);
        const item = { mediaType: 'text/plain', digest, size: bytes.length };
        return collect(
          writeTar([
            file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
            file('index.json', JSON.stringify({ schemaVersion: 2, manifests: [item] })),
            file(`blobs/sha256/${digestHex(digest)}`, bytes),
          ]),
        );
      },
      'IMAGE_INVALID',
      /not an image/,
    ],
    [
      'a manifest.json that is a list of lists',
      async () => docker([[]]),
      'ARCHIVE_INVALID',
      /not an object/,
    ],
    [
      'a config outside of the archive',
      async () => docker([{ Config: '../../etc/passwd', Layers: [], RepoTags: ['a:1'] }]),
      'ARCHIVE_INVALID',
      /has no/,
    ],
    [
      'a config at an absolute path',
      async () => docker([{ Config: '/etc/passwd', Layers: [], RepoTags: ['a:1'] }]),
      'ARCHIVE_INVALID',
      /has no/,
    ],
    [
      'a config that is manifest.json',
      async () => docker([{ Config: 'manifest.json', Layers: [], RepoTags: ['a:1'] }]),
      'IMAGE_INVALID',
      /image config/,
    ],
    [
      'links in a circle',
      async () =>
        docker(
          [{ Config: 'a', Layers: [], RepoTags: ['a:1'] }],
          symlink('a', 'b'),
          symlink('b', 'a'),
        ),
      'ARCHIVE_INVALID',
      /links|has no/,
    ],
    [
      'a hard link to itself',
      async () => docker([{ Config: 'a', Layers: [], RepoTags: ['a:1'] }], hardlink('a', 'a')),
      'ARCHIVE_INVALID',
      /links|has no/,
    ],
    [
      'two saved images of one name',
      async () => {
        return docker(
          [
            { Config: 'a.json', Layers: [], RepoTags: ['example/app:1'] },
            { Config: 'b.json', Layers: [], RepoTags: ['docker.io/example/app:1'] },
          ],
          file('a.json', configBy('a')),
          file('b.json', configBy('b')),
        );
      },
      'ARCHIVE_INVALID',
      /two images with the name docker\.io\/example\/app:1/,
    ],
    [
      'fewer diff ids than layers',
      async () =>
        docker(
          [{ Config: 'a.json', Layers: ['l', 'l'], RepoTags: ['a/b:1'] }],
          file(
            'a.json',
            JSON.stringify({
              architecture: 'amd64',
              os: 'linux',
              rootfs: { type: 'layers', diff_ids: [digestOf('l')] },
            }),
          ),
          file('l', 'l'),
        ),
      'IMAGE_INVALID',
      /lists 1 layers, but manifest\.json 2/,
    ],
    ['random bytes', async () => randomBytes(2000), 'ARCHIVE_INVALID', /tar archive/],
    ['no bytes', async () => Buffer.alloc(0), 'ARCHIVE_INVALID', /contains no image/],
    [
      'a truncated archive',
      async () => (await changed(keep)).subarray(0, 4000),
      'ARCHIVE_INVALID',
      /truncated/,
    ],
  ];
  it.each(cases)('%s', async (_what, make, code, message) => {
    const store = await newStore();
    const error = await thrown(importImages(store, chunks(await make())));
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(message);
    expect(await store.tags()).toEqual([]);
  });

  it('rejects an archive longer than the limit, packed or unpacked', async () => {
    const bytes = await changed(keep);
    for (const archive of [bytes, gzipSync(bytes)]) {
      const store = await newStore();
      const limits = { maxBytes: 5000 };
      const error = await thrown(importImages(store, chunks(archive), { limits }));
      expect(error).toMatchObject({ code: 'ARCHIVE_INVALID' });
      expect(await store.tags()).toEqual([]);
    }
  });

  it('accepts entries in any order, with links of docker save', async () => {
    const store = await newStore();
    const index = await newIndex(store);
    const bytes = await exported(store, index);
    const entries: EntryWithContent[] = [];
    for await (const { content, ...head } of readTar(chunks(bytes))) {
      const data = content === undefined ? Buffer.of() : await collect(content);
      entries.unshift(head.type === 'file' ? file(head.path, data) : head);
    }
    const other = await newStore();
    const { images } = await importImages(other, writeTar(entries));
    expect(images).toEqual([{ reference: FULL, descriptor: index }]);
  });

  it('ignores what follows the end', async () => {
    const store = await newStore();
    const index = await newIndex(store);
    const more = await collect(writeTar([file('index.json', '{}'), file('x', 'y')]));
    const bytes = Buffer.concat([await exported(store, index), more]);
    const { images } = await importImages(await newStore(), chunks(bytes));
    expect(images).toEqual([{ reference: FULL, descriptor: index }]);
  });

  it('reads an index of wide indexes once', async () => {
    const store = await newStore();
    const image = await newImage(store);
    let item: Descriptor = image;
    for (let depth = 0; depth < 3; depth += 1) {
      const manifests = Array.from({ length: 3000 }, () => ({ ...item, platform: undefined }));
      const document = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
      const blob = await store.writeBytes(Buffer.from(JSON.stringify(document)));
      item = { mediaType: MediaType.ociIndex, ...blob };
    }
    const other = await newStore();
    const bytes = await exported(store, item);
    await importImages(other, chunks(bytes));
    expect((await loadImage(other, item.digest, AMD)).descriptor.digest).toBe(image.digest);
    expect(await thrown(loadImage(other, item.digest, ARM))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('rejects one name for several images', async () => {
    const store = await newStore();
    const [one, two] = [await newImage(store), await newImage(store, AMD, 'other')];
    const document = { schemaVersion: 2, manifests: [one, two] };
    const bytes = await collect(
      writeTar([
        file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
        file('index.json', JSON.stringify(document)),
      ]),
    );
    expect(await thrown(importImages(store, chunks(bytes), { name: 'example/app' }))).toMatchObject(
      {
        code: 'USAGE_INVALID',
      },
    );
    expect(await store.tags()).toEqual([]);
  });
});
