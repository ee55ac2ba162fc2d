import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { silentReporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fetchPackages, type FetchOptions } from '../src/archive/fetch-packages.ts';
import type { DebianLock } from '../src/lock/lock.ts';
import { resolveLock } from '../src/lock/resolve-lock.ts';
import { TestArchive } from './test-archive.ts';
import { recorder, tempStore } from './support.ts';

let archive: TestArchive;
let lock: DebianLock;

beforeAll(async () => {
  archive = await TestArchive.create();
});

afterAll(async () => archive[Symbol.asyncDispose]());

beforeEach(async () => {
  archive.files.clear();
  archive.intercept = undefined;
  await archive.publish('trixie', [{ name: 'one' }, { name: 'two' }], {
    security: [{ name: 'three' }],
  });
  lock = await resolveLock(
    { suite: 'trixie', architecture: 'amd64', packages: ['one', 'two', 'three'] },
    archive.mirror,
    { store: await tempStore(), reporter: silentReporter, keyrings: [archive.keyring] },
  );
});

const DEB = 'debian/pool/main/t/two/two_1.0_amd64.deb';

async function fetchInto(store: Store, options: Partial<FetchOptions> = {}): Promise<void> {
  await fetchPackages(lock, store, archive.mirror, {
    reporter: silentReporter,
    backoff: [1],
    keyrings: [archive.keyring],
    directory: 'tools/x',
    ...options,
  });
}

async function leftovers(store: Store): Promise<string[]> {
  return (await readdir(join(store.dir, 'tmp')).catch(() => [])).filter(
    (name) => !name.startsWith('.'),
  );
}

describe('fetchPackages', () => {
  it('downloads missing packages and reports bytes', async () => {
    const store = await tempStore();
    const reporter = recorder();
    await fetchInto(store, { reporter });
    for (const { digest, size } of lock.packages) expect(await store.size(digest)).toBe(size);
    const total = lock.packages.reduce((sum, { size }) => sum + size, 0);
    expect(reporter.events[0]).toMatchObject({ kind: 'start', title: '3 Debian packages' });
    expect(reporter.events.at(-2)).toMatchObject({
      kind: 'progress',
      current: total,
      total,
      unit: 'bytes',
    });
    expect(reporter.events.at(-1)).toMatchObject({ kind: 'done' });
  });

  it('looks up no mirror if no package is missing', async () => {
    const store = await tempStore();
    await fetchInto(store);
    await fetchPackages(lock, store, none, { reporter: silentReporter });
  });

  it('rejects a .deb with another digest than the lock', async () => {
    const content = archive.files.get(DEB) ?? Buffer.alloc(0);
    const changed = Buffer.from(content);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    const store = await tempStore();
    for (const wrong of [changed, content.subarray(1), Buffer.concat([content, content])]) {
      archive.files.set(DEB, wrong);
      await expect(fetchInto(store)).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
        message: 'the .deb of two 1.0 does not match the lock',
      });
    }
    expect(await leftovers(store)).toEqual([]);
    archive.files.set(DEB, content);
    await fetchInto(store);
  });

  it('names a .deb that has left the mirror, the newer version and the command', async () => {
    await archive.publish('trixie', [{ name: 'one' }, { name: 'two', version: '1.1' }], {
      security: [{ name: 'three' }],
    });
    archive.files.delete(DEB);
    await expect(fetchInto(await tempStore())).rejects.toMatchObject({
      code: 'DEB_GONE',
      message: 'two 1.0 has left the mirror; the archive has 1.1 now',
      fix: 'run lkt pkg lock tools/x',
    });
  });

  it('names a .deb that has left the mirror when the index is unavailable', async () => {
    archive.files.delete(DEB);
    archive.files.delete('debian/dists/trixie/InRelease');
    await expect(fetchInto(await tempStore())).rejects.toMatchObject({
      code: 'DEB_GONE',
      message: 'two 1.0 has left the mirror',
    });
  });

  it('reports that the archive has no other version', async () => {
    await archive.publish('trixie', [{ name: 'one' }], { security: [{ name: 'three' }] });
    archive.files.delete(DEB);
    await expect(fetchInto(await tempStore())).rejects.toMatchObject({
      code: 'DEB_GONE',
      message: 'two 1.0 has left the mirror, and the archive has no other version',
    });
  });

  it('survives a broken connection', async () => {
    let broken = 0;
    archive.intercept = (path, response) => {
      if (path !== DEB || broken > 0) return false;
      broken += 1;
      response.writeHead(200, { 'content-length': 1000 }).write('!<arch>');
      setTimeout(() => response.destroy(), 10);
      return true;
    };
    const reporter = recorder();
    await fetchInto(await tempStore(), { reporter });
    const total = lock.packages.reduce((sum, { size }) => sum + size, 0);
    expect(reporter.events.at(-2)).toMatchObject({ current: total, total });
    expect(broken).toBe(1);
  });

  it('stops on its signal and leaves a working store', async () => {
    archive.intercept = (path, response) => {
      if (path !== DEB) return false;
      response.writeHead(200, { 'content-length': 1000 }).write('!<arch>');
      return true;
    };
    const store = await tempStore();
    await expect(fetchInto(store, { signal: AbortSignal.timeout(100) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(await leftovers(store)).toEqual([]);
    archive.intercept = undefined;
    await fetchInto(store);
  });
});

async function none(): Promise<never> {
  throw new Error('a mirror was looked for');
}
