import { silentReporter } from '@lkt/core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type NewestSource, newestSource } from '../src/archive/newest-source.ts';
import { TestArchive, type TestSource } from './test-archive.ts';
import { tempStore } from './support.ts';

let archive: TestArchive;

beforeAll(async () => {
  archive = await TestArchive.create();
});
afterAll(async () => archive[Symbol.asyncDispose]());

const VERSIONS = ['6.12.8-1', '6.12.107-1', '6.12.107-2', '6.12.113-1', '6.12.117-1', '6.13.2-1'];

function linux(version: string): TestSource {
  const [upstream = ''] = version.split('-');
  return {
    name: 'linux',
    version,
    files: { [`linux_${upstream}.orig.tar.xz`]: `tarball ${upstream}`.padEnd(200_000) },
  };
}

beforeEach(async () => {
  archive.files.clear();
  archive.intercept = undefined;
  archive.requests.length = 0;
  const [security, ...sources] = VERSIONS.map(linux).toReversed();
  await archive.publish('trixie', [{ name: 'app' }], {
    sources,
    securitySources: security === undefined ? [] : [security],
  });
});

async function newest(than: string): Promise<NewestSource> {
  return newestSource(
    { suite: 'trixie', architecture: 'amd64', packages: [] },
    { name: 'linux', than, accepts: (version) => version.startsWith('6.12.') },
    archive.mirror,
    { store: await tempStore(), reporter: silentReporter, keyrings: [archive.keyring] },
  );
}

function withdraw(upstream: string): void {
  archive.files.delete(`debian/pool/main/l/linux/linux_${upstream}.orig.tar.xz`);
}

it('finds the newest accepted version', async () => {
  expect(await newest('6.12.107-1')).toMatchObject({
    newest: { name: 'src:linux', version: '6.12.117-1', archive: 'debian' },
    notServed: [],
  });
});

it('skips versions that the archive lists but does not serve', async () => {
  withdraw('6.12.117');
  expect(await newest('6.12.107-1')).toMatchObject({
    newest: { version: '6.12.113-1' },
    notServed: ['6.12.117-1'],
  });
  withdraw('6.12.113');
  expect(await newest('6.12.107-1')).toEqual({
    newest: undefined,
    notServed: ['6.12.117-1', '6.12.113-1'],
  });
});

it('ignores a new revision of the same tarball', async () => {
  expect(await newest('6.12.117-1')).toEqual({ newest: undefined, notServed: [] });
  withdraw('6.12.117');
  withdraw('6.12.113');
  expect((await newest('6.12.107-1')).newest).toBeUndefined();
});

it('fails if the archive fails, instead of finding less', async () => {
  archive.intercept = (path, response) => {
    if (!path.endsWith('.orig.tar.xz')) return false;
    response.writeHead(403).end();
    return true;
  };
  await expect(newest('6.12.107-1')).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
});
