import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex, digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  type Descriptor,
  exportImage,
  importImages,
  loadImage,
  MediaType,
  openStore,
  parsePlatform,
  parseReference,
  type Store,
  writeDockerArchive,
  writeTar,
} from '../../src/index.ts';
import { chunks, collect, failure, file, tempDir, withStore } from '../support.ts';

const AMD = parsePlatform('linux/amd64');
const NAME = 'docker.io/library/app:1';

/** Writes an image whose digests and diff id are all SHA-512. */
async function newImage(store: Store): Promise<{ image: Descriptor; layer: Descriptor }> {
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => ({
    mediaType,
    ...(await store.writeBytes(bytes, digestOf(bytes, 'sha512'))),
  });
  const json = async (mediaType: string, value: object): Promise<Descriptor> =>
    put(mediaType, Buffer.from(JSON.stringify(value)));
  const layer = await put(MediaType.layerTar, await collect(writeTar([file('a', 'content')])));
  const config = await json(MediaType.ociConfig, {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const mediaType = MediaType.ociManifest;
  const image = await json(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
  return { image, layer };
}

describe('SHA-512 digests', () => {
  test('name blobs in a directory of their own', async () => {
    await withStore(async (store) => {
      const bytes = Buffer.from('content');
      const digest = digestOf(bytes, 'sha512');
      const expected = { digest, size: bytes.length };
      expect(await store.write(chunks(bytes), expected)).toEqual(expected);
      expect(store.blobPath(digest)).toBe(join(store.dir, 'blobs/sha512', digestHex(digest)));
      expect(await collect(store.read({ digest }))).toEqual(bytes);
      expect(await store.readBytes({ digest })).toEqual(bytes);
      expect(store.digests()).toEqual([digest]);
      expect(await store.verify()).toMatchObject({ checked: 1, bad: [] });
      await failure('DIGEST_MISMATCH', store.write(chunks('other'), { digest }));
      await writeFile(store.blobPath(digest), 'contend');
      await failure('DIGEST_MISMATCH', store.readBytes({ digest }));
      await failure('DIGEST_MISMATCH', collect(store.read({ digest })));
      const path = store.blobPath(digest);
      expect(await store.verify()).toMatchObject({ checked: 1, bad: [{ digest, path }] });
    });
  });

  test('are computed of long content on other threads', async () => {
    await withStore(async (store) => {
      const bytes = Buffer.alloc(9 * 2 ** 20, 'x');
      const expected = { digest: digestOf(bytes, 'sha512'), size: bytes.length };
      await store.write(chunks(bytes, 2 ** 20), { ...expected, canHashInThread: true });
      expect((await collect(store.read(expected))).equals(bytes)).toBe(true);
    });
  });

  test('may be known only at the end of the content', async () => {
    await withStore(async (store) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const finalDigest = (): ReturnType<typeof digestOf> => digestOf('content', algorithm);
        const info = { digest: finalDigest(), size: 7 };
        expect(await store.write(chunks('content'), { finalDigest })).toEqual(info);
        await failure('DIGEST_MISMATCH', store.write(chunks('other'), { finalDigest }));
      }
      expect(store.digests()).toHaveLength(2);
    });
  });

  test('keep and prune what tags reach', async () => {
    await withStore(async (store) => {
      const { image } = await newImage(store);
      await store.tag(NAME, image);
      expect((await store.prune([])).removed).toEqual([]);
      expect((await loadImage(store, image.digest, AMD)).descriptor.digest).toBe(image.digest);
      await store.untag(NAME);
      await store.prune([]);
      expect(store.digests()).toEqual([]);
    });
  });

  test('survive archives', async () => {
    await using temp = await tempDir();
    const store = await openStore(join(temp.path, 'a'));
    const { image, layer } = await newImage(store);
    const archive = await exportImage(store, image, {
      reference: parseReference(NAME),
      format: 'oci',
    });
    const other = await openStore(join(temp.path, 'b'));
    await importImages(other, archive);
    expect((await other.resolve(NAME))?.digest).toBe(image.digest);
    expect(await other.has(layer.digest)).toBe(true);
    expect((await other.verify()).bad).toEqual([]);
    const loaded = await loadImage(store, image.digest, AMD);
    const docker = writeDockerArchive(store, [{ image: loaded, tags: ['app:1'] }]);
    const third = await openStore(join(temp.path, 'c'));
    const { images } = await importImages(third, docker);
    expect(images).toMatchObject([{ reference: NAME }]);
  });
});

test('a reference may have a SHA-512 digest, and no other algorithm', () => {
  const digest = digestOf('x', 'sha512');
  expect(parseReference(`app@${digest}`).digest).toBe(digest);
  expect(() => parseReference(`app@sha384:${'0'.repeat(96)}`)).toThrow(
    /is not a sha256 or sha512 digest/,
  );
});
