import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentReporter } from '@lkt/core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ArchiveOptions } from '../src/archive/archive.ts';
import type { DebianLock } from '../src/lock/lock.ts';
import { resolveLock } from '../src/lock/resolve-lock.ts';
import { TestArchive } from './test-archive.ts';
import { recorder, tempStore } from './support.ts';

let archive: TestArchive;

beforeAll(async () => {
  archive = await TestArchive.create();
});

afterAll(async () => archive[Symbol.asyncDispose]());

const RELEASE = 'debian/dists/trixie/InRelease';

async function publish(more: { validUntil?: string } = {}): Promise<void> {
  archive.files.clear();
  archive.intercept = undefined;
  await archive.publish(
    'trixie',
    [{ name: 'app', fields: { Depends: 'lib (>= 1)' } }, { name: 'lib' }, { name: 'other' }],
    {
      updates: [{ name: 'other', version: '1.0+u1' }],
      security: [{ name: 'lib', version: '1.0+deb13u1' }],
      ...more,
    },
  );
}

async function resolve(
  options: Partial<ArchiveOptions> = {},
  packages = ['app', 'other'],
): Promise<DebianLock> {
  const spec = { suite: 'trixie', architecture: 'amd64', packages };
  return resolveLock(spec, archive.mirror, {
    store: await tempStore(),
    reporter: silentReporter,
    keyrings: [archive.keyring],
    ...options,
  });
}

describe('resolveLock', () => {
  it('selects the newest version of the suite, its updates and its security updates', async () => {
    await publish();
    const { packages, request } = await resolve();
    expect(
      packages.map(({ name, version, archive: origin, path }) => [name, version, origin, path]),
    ).toEqual([
      ['app', '1.0', 'debian', 'pool/main/a/app/app_1.0_amd64.deb'],
      ['lib', '1.0+deb13u1', 'debian-security', 'pool/main/l/lib/lib_1.0+deb13u1_amd64.deb'],
      ['other', '1.0+u1', 'debian', 'pool/main/o/other/other_1.0+u1_amd64.deb'],
    ]);
    expect(request).toBe('packages=app,other');
    expect(archive.requests).toContainEqual(expect.stringContaining('/by-hash/SHA256/'));
  });

  it('downloads an index by name if a mirror lacks it by hash, and only once', async () => {
    await publish();
    for (const path of archive.files.keys())
      if (path.includes('/by-hash/')) archive.files.delete(path);
    const store = await tempStore();
    await resolve({ store });
    const before = archive.requests.length;
    await resolve({ store });
    expect(archive.requests.slice(before).toSorted()).toEqual([
      'debian-security/dists/trixie-security/InRelease',
      'debian/dists/trixie-updates/InRelease',
      RELEASE,
    ]);
  });

  it('requires a keyring', async () => {
    await publish();
    await expect(resolve({ keyrings: ['/no/such/keyring'] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('rejects a signature by another key', async () => {
    await publish();
    await using other = await TestArchive.create();
    await expect(resolve({ keyrings: [other.keyring] })).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: 'the signature of the InRelease of trixie is not valid',
      fix: expect.stringContaining('debian-archive-keyring') as string,
    });
  });

  it.each<[string, (release: Buffer) => Buffer | Promise<Buffer>]>([
    [
      'a changed text',
      (release) => Buffer.from(release.toString().replace('Suite: trixie', 'Suite: trixiE')),
    ],
    [
      'no signature',
      (release) => Buffer.from(release.toString().replace(/-----BEGIN PGP SIGNATURE[\s\S]*/, '')),
    ],
    [
      'text before the signed part',
      (release) => Buffer.concat([Buffer.from('Suite: trixie\n\n'), release]),
    ],
    [
      'text after the signature',
      (release) => Buffer.concat([release, Buffer.from('\nSuite: trixie\n')]),
    ],
    ['two signed messages', (release) => Buffer.concat([release, release])],
    [
      'another suite, signed well',
      async () => archive.sign('Suite: bookworm\nCodename: bookworm\n'),
    ],
    ['an empty file', () => Buffer.alloc(0)],
  ])('rejects an InRelease with %s', async (_what, change) => {
    await publish();
    archive.files.set(RELEASE, await change(archive.files.get(RELEASE) ?? Buffer.alloc(0)));
    await expect(resolve()).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('rejects a changed index', async () => {
    await publish();
    for (const [path, content] of archive.files)
      if (/dists\/trixie\/main.*xz$|dists\/trixie\/main.*by-hash/.test(path)) {
        const changed = Buffer.from(content);
        changed.fill(0, changed.length - 8);
        archive.files.set(path, changed);
      }
    const store = await tempStore();
    await expect(resolve({ store })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: 'the index main of trixie does not match its signed digest',
    });
    await publish();
    expect((await resolve({ store })).packages).toHaveLength(3);
  });

  it('rejects an endless InRelease', async () => {
    await publish();
    archive.files.set(RELEASE, Buffer.alloc(5 << 20));
    await expect(resolve()).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it('requires the security suite', async () => {
    await publish();
    archive.files.delete('debian-security/dists/trixie-security/InRelease');
    await expect(resolve()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('warns about an expired index', async () => {
    await publish({ validUntil: 'Mon, 30 Nov 2026 08:10:14 UTC' });
    const reporter = recorder();
    await resolve({ reporter, now: new Date('2026-11-29T00:00:00Z') });
    expect(reporter.events.filter(({ kind }) => kind === 'warning')).toEqual([]);
    await resolve({ reporter, now: new Date('2026-12-01T00:00:00Z') });
    expect(reporter.events).toContainEqual({
      kind: 'warning',
      text: 'the InRelease of trixie expired on 2026-11-30: the mirror may withhold updates',
    });
  });

  it('rejects an expired index on request', async () => {
    await publish({ validUntil: 'Mon, 30 Nov 2026 08:10:14 UTC' });
    const rejectsExpired = true;
    await resolve({ rejectsExpired, now: new Date('2026-11-29T00:00:00Z') });
    await expect(
      resolve({ rejectsExpired, now: new Date('2026-12-01T00:00:00Z') }),
    ).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: 'the InRelease of trixie expired on 2026-11-30: the mirror may withhold updates',
    });
  });

  it('names the chain to a missing package', async () => {
    await publish();
    await expect(resolve({}, ['ap'])).rejects.toMatchObject({
      code: 'DEPENDENCY_UNRESOLVED',
      message: 'there is no package ap',
    });
  });
});

describe('a machine without the keyring or gpgv', () => {
  it('gets the command that installs it', async () => {
    await publish();
    const dir = await mkdtemp(join(tmpdir(), 'lkt-path-'));
    const path = process.env['PATH'];
    onTestFinished(async () => {
      process.env['PATH'] = path;
      await rm(dir, { recursive: true });
    });
    await writeFile(join(dir, 'nothing'), '');
    const store = await tempStore();
    process.env['PATH'] = dir;
    await expect(resolve({ store })).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      fix: 'run apt-get install gpgv',
    });
  });
});
