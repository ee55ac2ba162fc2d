import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestOf } from '@lkt/core';
import { type Descriptor, openStore, type Store, writeImage } from '@lkt/oci';
import { expect, test, vi } from 'vitest';
import { buildCacheAreas } from '../../src/index.ts';
import { build, scratch, TEST_KEY } from '../fixture.ts';

vi.setConfig({ testTimeout: 60_000 });

const PLATFORM = { os: 'linux', architecture: 'amd64' };
const DOCKERFILE = 'FROM base\nRUN echo 1 > /one\n';

/** Returns the archive of a base image in the form of GNU tar, which is not that of lkt. */
function foreignArchive(directory: string): Buffer {
  const root = join(directory, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const name of ['dev', 'etc', 'proc', 'sys', 'tmp']) mkdirSync(join(root, name));
  copyFileSync('/usr/bin/busybox', join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/sh'));
  writeFileSync(join(root, 'etc/foreign'), 'text');
  const names = ['./etc/foreign', './tmp', './sys', './proc', './dev', './bin'];
  return execFileSync('tar', ['--format=gnu', '--create', '--directory', root, ...names], {
    maxBuffer: 2 ** 26,
  });
}

/** Tags an image with a layer that another program wrote. */
async function writeForeign(
  store: Store,
  directory: string,
): Promise<{ readonly image: Descriptor; readonly diffId: Digest }> {
  const archive = foreignArchive(directory);
  const diffId = digestOf(archive);
  const { digest, size } = await store.writeBytes(archive);
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  const layers = [{ diffId, descriptor: { mediaType, digest, size } }];
  const image = await writeImage(store, { config: {}, layers, platform: PLATFORM });
  await store.tag('docker.io/library/foreign:1', image);
  return { image, diffId };
}

const open = async (path: string): Promise<Store> => openStore(path, { key: () => TEST_KEY });

test('finds damage in layers of lkt and of other programs, and no other', async () => {
  using directory = scratch();
  using files = scratch();
  const store = await open(directory.path);
  const { image, diffId } = await writeForeign(store, files.path);
  const bases = new Map([['base', image.digest]]);
  const { diffIds } = await build(directory.path, DOCKERFILE, { bases });
  const pathOf = (layer: Digest): string =>
    join(directory.path, 'layers/0', layer.slice('sha256:'.length));
  const own = diffIds.at(-1) ?? diffId;
  expect(readdirSync(join(directory.path, 'layers/0'))).toHaveLength(2);
  const check = async (): Promise<readonly string[]> =>
    (await (await open(directory.path)).verify({ areas: buildCacheAreas })).cached.bad;
  const umask = process.umask(0o077);
  try {
    expect(await check()).toEqual([]);
  } finally {
    process.umask(umask);
  }
  expect(readdirSync(join(directory.path, 'tmp'))).toEqual([]);
  appendFileSync(join(pathOf(own), 'one'), 'more');
  appendFileSync(join(pathOf(diffId), 'etc/foreign'), 'more');
  expect((await check()).toSorted()).toEqual([pathOf(own), pathOf(diffId)].toSorted());

  // Without its archive, the content of a layer of another program is unknown.
  rmSync(store.blobPath(diffId));
  expect(await check()).toEqual([pathOf(own)]);
});
