import { silentReporter } from '@lkt/core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { findUpdates, type PackageUpdate } from '../src/archive/updates.ts';
import { TestArchive, type TestSource } from './test-archive.ts';
import { tempStore } from './support.ts';

let archive: TestArchive;

beforeAll(async () => {
  archive = await TestArchive.create();
});
afterAll(async () => archive[Symbol.asyncDispose]());

function linux(version: string): TestSource {
  return {
    name: 'linux',
    version,
    files: { [`linux_${version.split('-')[0]}.orig.tar.xz`]: version },
  };
}

beforeEach(async () => {
  archive.files.clear();
  archive.requests.length = 0;
  archive.intercept = undefined;
  await archive.publish(
    'trixie',
    [
      { name: 'same', version: '1.0' },
      { name: 'plain', version: '1.1' },
      { name: 'point', version: '1.0-1+deb13u3' },
      { name: 'runc', version: '1.0-1+deb13u1' },
    ],
    {
      security: [{ name: 'runc', version: '1.0-1+deb13u2' }],
      sources: [linux('6.12.107-1'), linux('6.12.107-2')],
      securitySources: [linux('6.12.113-1')],
    },
  );
});

async function updates(
  packages: readonly (readonly [string, string])[],
  withDates = false,
  now?: Date,
): Promise<readonly PackageUpdate[]> {
  return findUpdates(
    { suite: 'trixie', architecture: 'amd64' },
    packages.map(([name, version]) => ({ name, version })),
    archive.mirror,
    {
      store: await tempStore(),
      reporter: silentReporter,
      keyrings: [archive.keyring],
      withDates,
      now,
    },
  );
}

it('names packages of which the archives have no version', async () => {
  const unknown: string[] = [];
  const items = ['same', 'gone', 'src:linux', 'src:gone'].map((name) => ({ name, version: '1.0' }));
  await findUpdates({ suite: 'trixie', architecture: 'amd64' }, items, archive.mirror, {
    store: await tempStore(),
    reporter: silentReporter,
    keyrings: [archive.keyring],
    onUnknown: ({ name }) => unknown.push(name),
  });
  expect(unknown).toEqual(['gone', 'src:gone']);
});

it('finds newer versions with their archives, and marks those with security fixes', async () => {
  const found = await updates([
    ['same', '1.0'],
    ['plain', '1.0'],
    ['point', '1.0-1'],
    ['runc', '1.0-1'],
    ['gone', '1.0'],
  ]);
  expect(found).toEqual([
    { name: 'plain', version: '1.0', newest: '1.1', archive: 'debian', isSecurity: false },
    {
      name: 'point',
      version: '1.0-1',
      newest: '1.0-1+deb13u3',
      archive: 'debian',
      isSecurity: true,
    },
    {
      name: 'runc',
      version: '1.0-1',
      newest: '1.0-1+deb13u2',
      archive: 'debian-security',
      isSecurity: true,
    },
  ]);
  expect(archive.requests.filter((path) => path.endsWith('.deb'))).toEqual([]);
});

it('reports when security updates were made, by the headers of the .debs', async () => {
  const found = await updates(
    [
      ['plain', '1.0'],
      ['runc', '1.0-1'],
    ],
    true,
  );
  expect(found.map(({ securitySince }) => securitySince)).toEqual([
    undefined,
    '2023-11-14T22:13:20.000Z',
  ]);
  expect(archive.requests.filter((path) => path.endsWith('.deb')).toSorted()).toEqual([
    'debian-security/pool/main/r/runc/runc_1.0-1+deb13u2_amd64.deb',
    'debian/pool/main/r/runc/runc_1.0-1+deb13u1_amd64.deb',
  ]);
});

it('finds an update whose .deb is missing or broken, without its date', async () => {
  archive.files.delete('debian/pool/main/r/runc/runc_1.0-1+deb13u1_amd64.deb');
  const broken = 'debian-security/pool/main/r/runc/runc_1.0-1+deb13u2_amd64.deb';
  expect(archive.files.has(broken)).toBe(true);
  archive.files.set(broken, Buffer.from('<html>'));
  const found = await updates([['runc', '1.0-1']], true);
  expect(found).toMatchObject([{ name: 'runc', newest: '1.0-1+deb13u2', isSecurity: true }]);
  expect(found[0]?.securitySince).toBeUndefined();
});

it('leaves out the date of an update whose .deb states a time in the future', async () => {
  const found = await updates([['runc', '1.0-1']], true, new Date('2023-11-14T22:13:19Z'));
  expect(found).toMatchObject([{ name: 'runc', isSecurity: true }]);
  expect(found[0]?.securitySince).toBeUndefined();
});

it('compares tarballs by the version of upstream', async () => {
  expect(await updates([['src:linux', '6.12.107-1']], true)).toEqual([
    {
      name: 'src:linux',
      version: '6.12.107-1',
      newest: '6.12.113-1',
      archive: 'debian-security',
      isSecurity: true,
    },
  ]);
  expect(await updates([['src:linux', '6.12.113-1']])).toEqual([]);
});

it('fails if an index was changed, instead of finding less', async () => {
  const path = 'debian-security/dists/trixie-security/InRelease';
  const text = String(archive.files.get(path));
  archive.files.set(path, Buffer.from(text.replace('Codename: trixie', 'Codename: Trixie')));
  await expect(updates([['runc', '1.0-1']])).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
});
