import { type Digest, digestOf } from '@lkt/core';
import { parseIndex, parsePlatform, writeIndex } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { buildPackages } from '../src/build/build.ts';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { pinOf } from '../src/pins/check-pin.ts';
import { bench, type Bench } from './bench.ts';
import { commit, write } from '../../git/test/checkout.ts';

const FILES = {
  'tools/base/build.yml': 'org: lkt\nimage: base\narches: [amd64, arm64, riscv64]\n',
  'tools/base/Dockerfile': 'FROM scratch\n',
  'tools/go/build.yml': 'org: lkt\nimage: go\narches: [amd64]\n',
  'tools/go/Dockerfile': 'FROM scratch\n',
  'pkg/app/build.yml':
    'org: lkt\nimage: app\narches: [amd64, arm64]\nbuildArgs: ["BASE=@lkt:pkg:../../tools/base", "GO=@lkt:pkg:../../tools/go"]\n',
  'pkg/app/Dockerfile':
    'ARG BASE\nARG GO\nFROM --platform=linux/amd64 $GO AS go\nFROM $BASE\nCOPY --from=go / /\n',
};

async function build(at: Bench, name: string, ...platforms: string[]): Promise<BuiltPackage> {
  const workspace = await at.open();
  const { packages } = await buildPackages(workspace, [workspace.get(name)], {
    ...at.options,
    platforms: platforms.map((text) => parsePlatform(`linux/${text}`)),
  });
  const found = packages.find(({ item }) => item.name === name);
  if (found === undefined) throw new Error(`${name} was not built`);
  return found;
}

/** Returns the architectures in the store's index of a package, and the digest of that index. */
async function named(at: Bench, { references }: BuiltPackage): Promise<[string, Digest]> {
  const descriptor = await at.store.resolve(references[0] ?? '');
  if (descriptor === undefined) throw new Error('it has no name');
  const { manifests } = parseIndex(await at.store.readBytes(descriptor));
  return [manifests.map(({ platform }) => platform?.architecture).join(' '), descriptor.digest];
}

describe('images of several platforms', () => {
  it('are in one index in the order of "arches", whatever the order of the request', async () => {
    await using at = await bench(FILES);
    const both = await build(at, 'lkt/base', 'arm64', 'amd64');
    expect(await named(at, both)).toEqual(['amd64 arm64', both.index.digest]);
    expect(at.engine.requests.map(({ platform }) => platform.architecture)).toEqual([
      'amd64',
      'arm64',
    ]);
  });

  it('accumulate over builds for some of the platforms', async () => {
    await using one = await bench(FILES);
    await using two = await bench(FILES);
    const [, whole] = await named(one, await build(one, 'lkt/base', 'amd64', 'riscv64'));
    const first = await build(two, 'lkt/base', 'riscv64');
    expect(await named(two, first)).toEqual(['riscv64', first.index.digest]);
    const second = await build(two, 'lkt/base', 'amd64');
    expect(await named(two, second)).toEqual(['amd64 riscv64', whole]);
    // A pin covers the requested platforms only.
    expect(second.images.map(({ platform }) => platform?.architecture)).toEqual(['amd64']);
    expect(second.others.map(({ platform }) => platform?.architecture)).toEqual(['riscv64']);
    expect(second.index.digest).toBe((await build(one, 'lkt/base', 'amd64')).index.digest);
  });

  it('are dropped when the sources have changed, or their records are gone', async () => {
    await using at = await bench(FILES);
    await write(at.path, { 'tools/base/new': 'x' });
    await build(at, 'lkt/base', 'arm64');
    await write(at.path, { 'tools/base/new': 'y' });
    // Simulates an index of other sources under the same tag.
    const stale = await build(at, 'lkt/base', 'amd64');
    const [reference = ''] = stale.references;
    const old = await at.store.resolve(reference);
    await write(at.path, { 'tools/base/new': 'x' });
    const other = await build(at, 'lkt/base', 'arm64');
    await at.store.tag(reference, await writeIndex(at.store, [...other.images]));
    await write(at.path, { 'tools/base/new': 'y' });
    const again = await build(at, 'lkt/base', 'amd64');
    expect(again.references).toContain(reference);
    expect(await named(at, again)).toEqual(['amd64', old?.digest]);
  });

  it('have the same digest whichever platforms of an unpinned base are built', async () => {
    await using one = await bench(FILES);
    await using two = await bench(FILES);
    const [, whole] = await named(one, await build(one, 'lkt/app', 'amd64', 'arm64'));
    await build(two, 'lkt/app', 'arm64');
    expect(await named(two, await build(two, 'lkt/app', 'amd64'))).toEqual(['amd64 arm64', whole]);
    two.engine.built.length = 0;
    await build(two, 'lkt/app', 'amd64', 'arm64');
    expect(two.engine.built).toEqual([]);
  });
});

describe('a dependency', () => {
  it('is built for the platform that it is used for', async () => {
    await using at = await bench(FILES);
    await build(at, 'lkt/app', 'arm64');
    expect(
      at.engine.requests.map(({ name, platform }) => `${name} ${platform.architecture}`).toSorted(),
    ).toEqual(['lkt/app arm64', 'lkt/base arm64', 'lkt/go amd64']);
  });

  it('must support the platform', async () => {
    await using at = await bench({
      ...FILES,
      'pkg/app/Dockerfile': 'ARG BASE\nARG GO\nFROM $GO AS go\nFROM $BASE\nCOPY --from=go / /\n',
    });
    await expect(build(at, 'lkt/app', 'amd64', 'arm64')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'pkg/app/Dockerfile:3:6: lkt/go supports amd64, but is used for linux/arm64',
    });
  });

  it('may differ between platforms', async () => {
    await using at = await bench(FILES);
    const foreign = await writeIndex(at.store, []);
    for (const name of ['amd64', 'arm64']) await at.store.tag(`docker.io/other/${name}:1`, foreign);
    const dockerfile = `ARG TARGETARCH\nFROM other/$TARGETARCH@${foreign.digest}\n`;
    await write(at.path, { 'pkg/app/Dockerfile': dockerfile });
    await build(at, 'lkt/app', 'amd64', 'arm64');
    expect(at.engine.requests.map(({ bases }) => [...bases.keys()])).toEqual([
      [`other/amd64@${foreign.digest}`],
      [`other/arm64@${foreign.digest}`],
    ]);
  });
});

describe('a pin', () => {
  const PINNED = {
    ...FILES,
    'pkg/user/build.yml': 'org: lkt\nimage: user\narches: [amd64, arm64]\n',
  };

  it.each<[name: string, pinned: string[], built: string[]]>([
    ['of several platforms is valid for a build for one', ['amd64', 'arm64'], ['amd64']],
    ['of one platform is valid although the store has more', ['amd64'], ['amd64']],
    ['of the built platforms is valid', ['amd64', 'arm64'], ['amd64', 'arm64']],
  ])('%s', async (_name, pinned, built) => {
    await using at = await bench(PINNED);
    const base = await build(at, 'lkt/base', ...pinned);
    await build(at, 'lkt/base', 'riscv64');
    await write(at.path, { 'pkg/user/Dockerfile': `FROM ${pinOf(base) ?? ''}\n` });
    commit(at.path);
    await build(at, 'lkt/user', ...built);
    expect(at.engine.requests.at(-1)?.bases.values().next().value).toBe(base.index.digest);
  });

  it.each<[name: string, (at: Bench, images: BuiltPackage) => Promise<Digest>]>([
    [
      'of another image for the platform',
      async (at, { images }) => {
        const other = await writeIndex(at.store, []);
        const [image] = images;
        if (image === undefined) throw new Error('there is no image');
        return (await writeIndex(at.store, [{ ...image, digest: other.digest, size: other.size }]))
          .digest;
      },
    ],
    [
      'of an unsupported platform',
      async (at, { images }) => {
        const foreign = images.map((image) => ({
          ...image,
          platform: { os: 'linux', architecture: 's390x' },
        }));
        return (await writeIndex(at.store, [...images, ...foreign])).digest;
      },
    ],
    ['of an image itself', async (_at, { images }) => images[0]?.digest ?? digestOf('')],
    ['of an empty index', async (at) => (await writeIndex(at.store, [])).digest],
  ])('%s is stale', async (_name, make) => {
    await using at = await bench(PINNED);
    const base = await build(at, 'lkt/base', 'amd64');
    await write(at.path, { 'pkg/user/Dockerfile': `FROM lkt/base@${await make(at, base)}\n` });
    await expect(build(at, 'lkt/user', 'amd64')).rejects.toMatchObject({ code: 'PIN_STALE' });
  });
});
