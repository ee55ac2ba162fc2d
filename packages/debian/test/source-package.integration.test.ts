import { digestOf, silentReporter } from '@lkt/core';
import { SOURCE_DATE_EPOCH, type Store } from '@lkt/oci';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assemble } from '../src/assemble/assemble.ts';
import { debFiles } from '../src/deb/deb-files.ts';
import { fetchPackages } from '../src/archive/fetch-packages.ts';
import type { DebianLock } from '../src/lock/lock.ts';
import { resolveLock } from '../src/lock/resolve-lock.ts';
import { TestArchive, type TestSource } from './test-archive.ts';
import { tempStore } from './support.ts';

let archive: TestArchive;

beforeAll(async () => {
  archive = await TestArchive.create();
});
afterAll(async () => archive[Symbol.asyncDispose]());

const TARBALL = 'debian/pool/main/t/tree/tree_1.9.orig.tar.xz';

/** A source package with patches, as in the archive; only the tarball is upstream's. */
function tree(version: string): TestSource {
  const [upstream = ''] = version.split('-');
  return {
    name: 'tree',
    version,
    files: {
      [`tree_${version}.dsc`]: 'description',
      [`tree_${upstream}.orig.tar.xz`]: `tarball ${upstream}`,
      [`tree_${upstream}.orig.tar.xz.asc`]: 'signature',
      [`tree_${version}.debian.tar.xz`]: 'patches',
    },
  };
}

async function publish(
  sources: readonly TestSource[] = [tree('1.10-1'), tree('1.9-1')],
  securitySources: readonly TestSource[] = [],
): Promise<void> {
  archive.files.clear();
  archive.requests.length = 0;
  await archive.publish('trixie', [{ name: 'app' }], { sources, securitySources });
}

async function lockOf(
  sources: readonly string[],
  packages: readonly string[] = [],
  store?: Store,
): Promise<DebianLock> {
  const spec = { suite: 'trixie', architecture: 'amd64', packages, sources };
  return resolveLock(spec, archive.mirror, {
    store: store ?? (await tempStore()),
    reporter: silentReporter,
    keyrings: [archive.keyring],
  });
}

const fetchInto = async (lock: DebianLock, store: Store): Promise<void> =>
  fetchPackages(lock, store, archive.mirror, {
    reporter: silentReporter,
    backoff: [],
    directory: 'kernel/source',
    keyrings: [archive.keyring],
  });

describe('sources', () => {
  beforeEach(async () => publish());

  it('are locked by upstream’s tarball alone, in the newest version', async () => {
    const { packages, request } = await lockOf(['tree'], ['app']);
    expect(request).toBe('packages=app sources=tree');
    expect(packages.map(({ name }) => name)).toEqual(['app', 'src:tree']);
    expect(packages[1]).toEqual({
      name: 'src:tree',
      version: '1.10-1',
      architecture: 'source',
      archive: 'debian',
      path: 'pool/main/t/tree/tree_1.10.orig.tar.xz',
      size: 12,
      digest: digestOf('tarball 1.10'),
    });
  });

  it('have the named version, or the security archive’s if newer', async () => {
    expect((await lockOf(['tree (= 1.9-1)'])).packages).toMatchObject([{ version: '1.9-1' }]);
    await publish([tree('1.9-1')], [tree('1.9.1-1')]);
    expect((await lockOf(['tree'])).packages).toMatchObject([
      { version: '1.9.1-1', archive: 'debian-security' },
    ]);
  });

  it('are looked up only on request', async () => {
    await lockOf([], ['app']);
    expect(archive.requests.filter((path) => path.includes('/source/'))).toEqual([]);
  });

  it.each<[string, string, Partial<TestSource>, object]>([
    ['an unknown name', 'tre', {}, { message: 'there is no source package tre' }],
    [
      'an unavailable version',
      'tree (= 2-1)',
      {},
      { message: 'no version satisfies the source tree (= 2-1): the newest is 1.9-1' },
    ],
    [
      'a source that is made for Debian alone',
      'tree',
      { files: { 'tree_1.9.dsc': 'd', 'tree_1.9.tar.xz': 't' } },
      { code: 'UNSUPPORTED' },
    ],
    [
      'several tarballs',
      'tree',
      { files: { 'tree_1.9.orig.tar.xz': 't', 'tree_1.9.orig-more.tar.xz': 't' } },
      { code: 'UNSUPPORTED', message: 'the source tree 1.9-1 has several upstream tarballs' },
    ],
    [
      'a file outside of its directory',
      'tree',
      { files: { '../tree_1.9.orig.tar.xz': 't' } },
      { code: 'ARCHIVE_INVALID' },
    ],
    ['an empty file', 'tree', { files: { 'x.orig.tar.xz': '' } }, { code: 'ARCHIVE_INVALID' }],
  ])('rejects %s', async (_what, wanted, change, error) => {
    await publish([{ ...tree('1.9-1'), ...change }]);
    await expect(lockOf([wanted])).rejects.toMatchObject({
      code: 'DEPENDENCY_UNRESOLVED',
      ...error,
    });
  });

  it('rejects an unsigned index of sources, and an archive without one', async () => {
    for (const [path, content] of archive.files)
      if (path.includes('/source/')) archive.files.set(path, content.subarray(1));
    await expect(lockOf(['tree'])).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: 'the index main of sources of trixie does not match its signed digest',
    });
    await archive.publish('trixie', [{ name: 'app' }]);
    await expect(lockOf(['tree'])).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'trixie has no source packages of main',
    });
  });

  it('are packed in the image as in the archive', async () => {
    const store = await tempStore();
    const lock = await lockOf(['tree (= 1.9-1)'], [], store);
    await fetchInto(lock, store);
    const found = new Map<string, string>();
    for await (const entry of assemble(lock, store, {}, { reporter: silentReporter })) {
      if (entry.type !== 'file') continue;
      expect(entry).toMatchObject({ mode: 0o644, uid: 0, gid: 0, mtime: SOURCE_DATE_EPOCH });
      const chunks = entry.content === undefined ? [] : await Array.fromAsync(entry.content);
      found.set(entry.path, Buffer.concat(chunks).toString());
    }
    expect([...found]).toEqual([['usr/src/tree_1.9.orig.tar.xz', 'tarball 1.9']]);
    expect(await Array.fromAsync(debFiles(lock, store))).toMatchObject([
      { path: 'usr/src/tree_1.9.orig.tar.xz', size: 11 },
    ]);
  });

  it('rejects a changed or truncated tarball, and names one that has left the mirror', async () => {
    const store = await tempStore();
    const lock = await lockOf(['tree (= 1.9-1)'], [], store);
    for (const wrong of ['tarball 1.8', 'tarball']) {
      archive.files.set(TARBALL, Buffer.from(wrong));
      await expect(fetchInto(lock, store)).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
        message: 'the tarball of src:tree 1.9-1 does not match the lock',
      });
    }
    archive.files.delete(TARBALL);
    await expect(fetchInto(lock, store)).rejects.toMatchObject({
      code: 'DEB_GONE',
      message: 'src:tree 1.9-1 has left the mirror; the archive has 1.10-1 now',
      fix: 'run lkt pkg lock kernel/source',
    });
  });
});
