import { chmod, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { digestOf } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import { describe, expect, it } from 'vitest';
import {
  type DebianInputs,
  debianKey,
  type DockerfileInputs,
  dockerfileKey,
} from '../src/build/build-key.ts';
import { temporary, write } from '../../git/test/checkout.ts';

const PLATFORM = { os: 'linux', architecture: 'amd64' };

async function keyOf(given: DockerfileInputs): Promise<string> {
  return (await dockerfileKey(given)).key;
}

async function inputs(dir: string): Promise<DockerfileInputs> {
  await write(dir, { a: 'a', 'sub/b': 'b' });
  await rm(`${dir}/link`, { force: true });
  await symlink('a', `${dir}/link`);
  return {
    dockerfile: 'FROM x\n',
    context: ['a', 'link', 'sub/b'].map((path) => ({ path, source: `${dir}/${path}` })),
    buildArgs: new Map([['A', '1']]),
    labels: { l: '1' },
    bases: new Map([['x', digestOf('x')]]),
    network: false,
    platform: PLATFORM,
  };
}

describe('dockerfileKey', () => {
  it.each<[string, (given: DockerfileInputs, dir: string) => Promise<unknown> | object]>([
    ['the Dockerfile', () => ({ dockerfile: 'FROM y\n' })],
    ['a build argument', () => ({ buildArgs: new Map([['A', '2']]) })],
    ['a label', () => ({ labels: { l: '2' } })],
    ['a base', () => ({ bases: new Map([['x', digestOf('y')]]) })],
    ['the target', () => ({ target: 'x' })],
    ['the network', () => ({ network: true })],
    ['the platform', () => ({ platform: { os: 'linux', architecture: 'arm64' } })],
    ['a missing file', ({ context }) => ({ context: context.slice(1) })],
    [
      'a name',
      ({ context }) => ({
        context: context.map((file) => ({ ...file, path: file.path.replace('a', 'z') })),
      }),
    ],
    ['a content', (_given, dir) => writeFile(`${dir}/sub/b`, 'c')],
    ['an execute bit', (_given, dir) => chmod(`${dir}/a`, 0o755)],
    [
      'the target of a symlink',
      (_given, dir) => rm(`${dir}/link`).then(() => symlink('sub', `${dir}/link`)),
    ],
    [
      'a file that became a symlink',
      (_given, dir) => rm(`${dir}/a`).then(() => symlink('a', `${dir}/a`)),
    ],
  ])('changes with %s', async (_name, change) => {
    await using dir = await temporary();
    const given = await inputs(dir.path);
    const before = await keyOf(given);
    const changed = (await change(given, dir.path)) as Partial<DockerfileInputs> | undefined;
    expect(await keyOf({ ...given, ...changed })).not.toBe(before);
  });

  it('ignores directory, times, other modes and order of arguments', async () => {
    await using one = await temporary();
    await using two = await temporary();
    const a = await inputs(one.path);
    const b = await inputs(two.path);
    await utimes(`${two.path}/a`, 1, 1);
    await chmod(`${two.path}/a`, 0o600);
    const args = [
      ['B', '2'],
      ['A', '1'],
    ] as const;
    expect(await keyOf({ ...a, buildArgs: new Map(args) })).toBe(
      await keyOf({ ...b, buildArgs: new Map(args.toReversed()) }),
    );
    expect(await keyOf(a)).toBe(await keyOf(b));
  });
});

const item = (name: string): DebianLock['packages'][number] => ({
  name,
  version: '1',
  architecture: 'amd64',
  archive: 'debian',
  path: `pool/${name}.deb`,
  size: 1,
  digest: digestOf(name),
});

describe('debianKey', () => {
  const lock: DebianLock = {
    suite: 'trixie',
    architecture: 'amd64',
    request: 'packages=a',
    packages: [item('a'), item('b')],
  };
  const given: DebianInputs = {
    lock,
    block: { suite: 'trixie', packages: ['a'] },
    labels: {},
    platform: PLATFORM,
  };

  it.each<[string, Partial<DebianInputs>]>([
    [
      'a .deb',
      { lock: { ...lock, packages: [item('a'), { ...item('b'), digest: digestOf('c') }] } },
    ],
    ['an excluded path', { block: { ...given.block, exclude: ['usr/x'] } }],
    ['an included path', { block: { ...given.block, include: ['usr/x'] } }],
    ['a link', { block: { ...given.block, links: new Map([['a', 'b']]) } }],
    ['a file', { block: { ...given.block, files: [{ path: 'a', contents: '' }] } }],
    ['a directory', { block: { ...given.block, directories: [{ path: 'a' }] } }],
    ['a label', { labels: { a: 'b' } }],
    ['the platform', { platform: { os: 'linux', architecture: 'arm64' } }],
  ])('changes with %s', (_name, change) => {
    expect(debianKey({ ...given, ...change })).not.toBe(debianKey(given));
  });

  it('ignores the archive of the .debs and the requested packages', () => {
    const moved = {
      ...lock,
      request: 'other',
      packages: lock.packages.map((one) => ({
        ...one,
        path: 'x',
        archive: 'debian-security' as const,
      })),
    };
    expect(
      debianKey({ ...given, lock: moved, block: { ...given.block, packages: ['a', 'b'] } }),
    ).toBe(debianKey(given));
  });
});
