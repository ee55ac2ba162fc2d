import { type Digest, digestOf } from '@lkt/core';
import { parseIndex, parsePlatform, writeIndex } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { buildPackages } from '../src/build/build.ts';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { pinOf } from '../src/pins/pins.ts';
import { bench, type Bench } from './bench.ts';
import { commit, write } from '../../git/test/checkout.ts';

const FILES = {
  'tools/base/build.yml': 'org: lkt\nimage: base\narches: [amd64, arm64, riscv64]\n',
  'tools/base/Dockerfile': 'FROM scratch\n',
  'tools/go/build.yml': 'org: lkt\nimage: go\narches: [amd64]\n',
  'tools/go/Dockerfile': 'FROM scratch\n',
  'pkg/app/build.yml':
    'org: lkt\nimage: app\narches: [amd64, arm64]\nbuildArgs: ["BASE=@lkt:pkg:../../tools/base", "GO=@lkt:pkg:../../tools/go"]\n',
  'pkg/app/Dockerfile': 'ARG BASE\nARG GO\nFROM --platform=linux/amd64 $GO AS go\nFROM $BASE\n',
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

/** The architectures that the store has under the name of a package, and the digest of the index. */
async function named(at: Bench, { references }: BuiltPackage): Promise<[string, Digest]> {
  const descriptor = await at.store.resolve(references[0] ?? '');
  if (descriptor === undefined) throw new Error('it has no name');
  const { manifests } = parseIndex(await at.store.readBytes(descriptor));
  return [manifests.map(({ platform }) => platform?.architecture).join(' '), descriptor.digest];
}

describe('several platforms', () => {
  it('are one index in the order of "arches", whatever was asked for first', async () => {
    await using at = await bench(FILES);
    const both = await build(at, 'lkt/base', 'arm64', 'amd64');
    expect(await named(at, both)).toEqual(['amd64 arm64', both.index.digest]);
    expect(at.engine.requests.map(({ platform }) => platform.architecture)).toEqual([
      'amd64',
      'arm64',
    ]);
  });

  it('come together from builds for some of them', async () => {
    await using one = await bench(FILES);
    await using two = await bench(FILES);
    const [, whole] = await named(one, await build(one, 'lkt/base', 'amd64', 'riscv64'));
    const first = await build(two, 'lkt/base', 'riscv64');
    expect(await named(two, first)).toEqual(['riscv64', first.index.digest]);
    const second = await build(two, 'lkt/base', 'amd64');
    expect(await named(two, second)).toEqual(['amd64 riscv64', whole]);
    // What a pin says is of what was asked for.
    expect(second.images.map(({ platform }) => platform?.architecture)).toEqual(['amd64']);
    expect(second.others.map(({ platform }) => platform?.architecture)).toEqual(['riscv64']);
    expect(second.index.digest).toBe((await build(one, 'lkt/base', 'amd64')).index.digest);
  });

  it('do not stay when the sources have changed, or have been forgotten', async () => {
    await using at = await bench(FILES);
    await write(at.path, { 'tools/base/new': 'x' });
    await build(at, 'lkt/base', 'arm64');
    await write(at.path, { 'tools/base/new': 'y' });
    // The same tag by chance: the index there is of other sources.
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

  it('of a base that has no digest do not depend on what else is built', async () => {
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

describe('what a package uses', () => {
  it('is built for the platform it is used for', async () => {
    await using at = await bench(FILES);
    await build(at, 'lkt/app', 'arm64');
    expect(
      at.engine.requests.map(({ name, platform }) => `${name} ${platform.architecture}`).toSorted(),
    ).toEqual(['lkt/app arm64', 'lkt/base arm64', 'lkt/go amd64']);
  });

  it('must be made for it', async () => {
    await using at = await bench({
      ...FILES,
      'pkg/app/Dockerfile': 'ARG BASE\nARG GO\nFROM $GO AS go\nFROM $BASE\n',
    });
    await expect(build(at, 'lkt/app', 'amd64', 'arm64')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'pkg/app/Dockerfile:3:6: lkt/go is for amd64, and it is needed for linux/arm64',
    });
  });

  it('may be another one for each platform', async () => {
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
    ['of several platforms holds for a build for one', ['amd64', 'arm64'], ['amd64']],
    ['of one holds for a build for it while others are there', ['amd64'], ['amd64']],
    ['of the platforms built', ['amd64', 'arm64'], ['amd64', 'arm64']],
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
      'of a platform that the package is not for',
      async (at, { images }) => {
        const foreign = images.map((image) => ({
          ...image,
          platform: { os: 'linux', architecture: 's390x' },
        }));
        return (await writeIndex(at.store, [...images, ...foreign])).digest;
      },
    ],
    ['of an image itself', async (_at, { images }) => images[0]?.digest ?? digestOf('')],
    ['of nothing', async (at) => (await writeIndex(at.store, [])).digest],
  ])('%s does not hold', async (_name, make) => {
    await using at = await bench(PINNED);
    const base = await build(at, 'lkt/base', 'amd64');
    await write(at.path, { 'pkg/user/Dockerfile': `FROM lkt/base@${await make(at, base)}\n` });
    await expect(build(at, 'lkt/user', 'amd64')).rejects.toMatchObject({ code: 'PIN_STALE' });
  });
});
