import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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

async function publish(more: { validUntil?: string; date?: string } = {}): Promise<void> {
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
    const rejectsStale = true;
    await resolve({ rejectsStale, now: new Date('2026-11-29T00:00:00Z') });
    await expect(
      resolve({ rejectsStale, now: new Date('2026-12-01T00:00:00Z') }),
    ).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: 'the InRelease of trixie expired on 2026-11-30: the mirror may withhold updates',
    });
  });

  describe('with an older index than before', () => {
    const NEWER = 'Mon, 30 Nov 2026 08:10:14 UTC';
    const OLDER = 'Sun, 29 Nov 2026 20:10:14 UTC';
    const now = new Date('2026-12-01T00:00:00Z');

    it('rejects it on request, until the kept date is removed', async () => {
      const store = await tempStore();
      const options = { store, now, rejectsStale: true };
      await publish({ date: NEWER });
      await resolve(options);
      await resolve(options);
      await publish({ date: OLDER });
      const error: unknown = await resolve(options).catch((cause: unknown) => cause);
      expect(error).toMatchObject({
        code: 'OUTDATED',
        message: `the InRelease of trixie at ${archive.mirror.archives.debian[0]} is older than one read before`,
        cause: {
          message:
            'it is of 2026-11-29T20:10:14.000Z, the earlier one is of 2026-11-30T08:10:14.000Z: the mirror lags behind, or withholds updates',
        },
      });
      const dates = join(store.dir, 'debian-indexes');
      expect(error).toMatchObject({ fix: expect.stringContaining(`remove ${dates}/`) as string });
      // Pruning is no way round.
      await store.prune([], { before: Infinity, images: () => true });
      await expect(resolve(options)).rejects.toMatchObject({ code: 'OUTDATED' });
      await rm(dates, { recursive: true });
      await resolve(options);
      await publish({ date: NEWER });
      await resolve(options);
    });

    it('rejects one without a date', async () => {
      const options = { store: await tempStore(), now, rejectsStale: true };
      await publish({ date: OLDER });
      await resolve(options);
      await publish();
      await expect(resolve(options)).rejects.toMatchObject({
        code: 'OUTDATED',
        cause: { message: expect.stringMatching(/^it has no date, /) as string },
      });
    });

    it('warns otherwise', async () => {
      const store = await tempStore();
      const reporter = recorder();
      await publish({ date: NEWER });
      await resolve({ store, now, reporter });
      await publish({ date: OLDER });
      await resolve({ store, now, reporter });
      const warnings = reporter.events.flatMap((event) =>
        event.kind === 'warning' ? [event.text] : [],
      );
      expect(warnings).toHaveLength(3);
      expect(warnings[2]).toMatch(
        /^the InRelease of trixie-security at \S+ is older than one read before; it is of /,
      );
    });

    it('uses the next address that has a newer one', async () => {
      const options = { store: await tempStore(), now, rejectsStale: true };
      await publish({ date: NEWER });
      await resolve(options);
      await using other = await TestArchive.create();
      await other.publish('trixie', [{ name: 'app' }], { date: NEWER });
      await publish({ date: OLDER });
      const first = archive.mirror.archives;
      const second = other.mirror.archives;
      const mirror = {
        ...archive.mirror,
        archives: {
          debian: [...first.debian, ...second.debian],
          'debian-security': [...first['debian-security'], ...second['debian-security']],
        },
      };
      const spec = { suite: 'trixie', architecture: 'amd64', packages: ['app'] };
      const keyrings = [archive.keyring, other.keyring];
      const lock = await resolveLock(spec, mirror, {
        reporter: silentReporter,
        keyrings,
        ...options,
      });
      expect(lock.packages.map(({ name }) => name)).toEqual(['app']);
    });

    it('compares neither with other addresses, nor with other suites', async () => {
      const options = { store: await tempStore(), now, rejectsStale: true };
      await publish({ date: NEWER });
      await resolve(options);
      await archive.publish('forky', [{ name: 'app' }], { date: OLDER });
      const spec = { architecture: 'amd64', packages: ['app'] };
      const from = { reporter: silentReporter, keyrings: [archive.keyring], ...options };
      await resolveLock({ ...spec, suite: 'forky' }, archive.mirror, from);
      await resolveLock({ ...spec, suite: 'trixie' }, archive.mirror, from);
      await using other = await TestArchive.create();
      await other.publish('trixie', [{ name: 'app' }], { date: OLDER });
      const keyrings = [other.keyring];
      await resolveLock({ ...spec, suite: 'trixie' }, other.mirror, { ...from, keyrings });
    });

    it('ignores a kept date that is damaged', async () => {
      const store = await tempStore();
      const options = { store, now, rejectsStale: true };
      await publish({ date: NEWER });
      await resolve(options);
      const dates = join(store.dir, 'debian-indexes');
      const [name = ''] = await readdir(dates);
      const sealed = await readFile(join(dates, name), 'utf8');
      for (const text of ['', 'x', sealed.replace('2026', '2126'), sealed.slice(1)]) {
        for (const file of await readdir(dates)) await writeFile(join(dates, file), text);
        await publish({ date: OLDER });
        await resolve(options);
        await publish({ date: NEWER });
        await resolve(options);
      }
    });

    it('keeps no date of another suite', async () => {
      const options = { store: await tempStore(), now, rejectsStale: true };
      await publish({ date: OLDER });
      const good = archive.files.get(RELEASE) ?? Buffer.alloc(0);
      await archive.publish('forky', [{ name: 'app' }], { date: NEWER });
      const other = archive.files.get('debian/dists/forky/InRelease') ?? Buffer.alloc(0);
      archive.files.set(RELEASE, other);
      await expect(resolve(options)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
      archive.files.set(RELEASE, good);
      await resolve(options);
    });

    it('says to set a clock that an index is ahead of, and keeps no such date', async () => {
      const options = { store: await tempStore(), rejectsStale: true };
      await publish({ date: NEWER });
      await resolve({ ...options, now: new Date('2026-11-29T20:00:00Z') });
      await expect(
        resolve({ ...options, now: new Date('2026-11-28T20:00:00Z') }),
      ).rejects.toMatchObject({
        code: 'OUTDATED',
        message:
          "the InRelease of trixie is of 2026-11-30T08:10:14.000Z, after this machine's time",
        fix: 'set the clock of this machine',
      });
      const fresh = { ...options, store: await tempStore() };
      await expect(resolve({ ...fresh, now: new Date(0) })).rejects.toMatchObject({
        code: 'OUTDATED',
      });
      await publish({ date: OLDER });
      await resolve({ ...fresh, now });
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
