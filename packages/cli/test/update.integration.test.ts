import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { nativeEngine } from '@lkt/builder';
import { LktError, type ProgressEvent } from '@lkt/core';
import { type ConfigFile, pin, update, type UpdateOptions, type UpdateReport } from '@lkt/image';
import { openStore } from '@lkt/oci';
import {
  type BuildOptions,
  lockedPackages,
  lockPackage,
  openWorkspace,
  updateLocks,
  type Workspace,
} from '@lkt/pkg';
import { AdvisoryIndex } from '@lkt/vulns';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { TestArchive, type TestDeb, type TestSource } from '../../debian/test/test-archive.ts';
import { checkout, commit, ENV, git, temporary, write } from '../../git/test/checkout.ts';
import { debianUpdates } from '../src/outdated/debian.ts';

let archive: TestArchive;

beforeAll(async () => {
  archive = await TestArchive.create();
});
afterAll(async () => archive[Symbol.asyncDispose]());

const FILES = {
  'tools/base/build.yml': buildYml('base', 'packages: [app]'),
  'tools/other/build.yml': buildYml('other', 'packages: [plain]'),
  'tools/held/build.yml': buildYml('held', 'packages: [app (= 1.0-1)]'),
  'pkg/web/build.yml': 'org: lkt\nimage: web\narches: [amd64]\n',
  'pkg/web/Dockerfile': 'FROM scratch\nCOPY --from=lkt/base /usr/share/app/ /app/\n',
  'pkg/alone/build.yml': 'org: lkt\nimage: alone\narches: [amd64]\n',
  'pkg/alone/Dockerfile': 'FROM scratch\nCOPY Dockerfile /\n',
  'examples/web.yml':
    'init: [lkt/alone]\nservices:\n  - name: web\n    image: lkt/web\n    command: [/app/run]\n',
  'kernel/linux-source/build.yml': buildYml('linux-source', "sources: ['linux (= 6.12.107-1)']"),
  'kernel/linux-config/build.yml': 'org: lkt\nimage: linux-config\narches: [amd64]\n',
  'kernel/linux-config/Dockerfile':
    'FROM scratch\nCOPY --from=lkt/linux-source /usr/src/*.xz /kernel-config\n',
};

function buildYml(image: string, debian: string): string {
  return `org: lkt\nimage: ${image}\narches: [amd64]\ndebian:\n  suite: trixie\n  ${debian}\n`;
}

function app(version: string, files: TestDeb['files'] = {}): TestDeb {
  const changelog = `app (1.0-1+deb13u1) trixie-security; urgency=high

  * Fix CVE-2026-1111.

 -- A <a@example.org>  Fri, 13 Nov 2026 10:00:00 +0000

app (1.0-1) unstable; urgency=medium

  * Fix CVE-2020-2222.
`;
  return {
    name: 'app',
    version,
    files: {
      'usr/share/app/version': version,
      'usr/share/doc/app/changelog.Debian.gz': gzipSync(changelog),
      ...files,
    },
  };
}

const linux = (version: string): TestSource => ({
  name: 'linux',
  version: `${version}-1`,
  files: { [`linux_${version}.orig.tar.xz`]: `# Linux/x86 ${version} Kernel Configuration\n` },
});

async function publish(security: readonly TestDeb[] = [], plain = '1.0'): Promise<void> {
  await archive.publish('trixie', [app('1.0-1'), { name: 'plain', version: plain }], {
    security,
    sources: [linux('6.12.107')],
    securitySources: security.length === 0 ? [] : [linux('6.12.113')],
  });
}

beforeEach(async () => {
  archive.files.clear();
  await publish();
});

interface Checkout {
  readonly path: string;
  readonly warnings: readonly string[];
  readonly options: BuildOptions & { readonly keyrings: readonly string[] };
  readonly update: (options?: Partial<UpdateOptions>) => Promise<UpdateReport>;
  readonly read: (name: string) => Promise<string>;
}

/** Runs a test in a checkout that is locked and pinned to the archive's packages. */
async function inCheckout(use: (made: Checkout) => Promise<void>): Promise<void> {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const warnings: string[] = [];
  const reopen = async (): Promise<Workspace> => openWorkspace(repo.path, { env: ENV });
  const configs = async (): Promise<readonly ConfigFile[]> => {
    const absolute = join(repo.path, 'examples/web.yml');
    return [{ path: 'examples/web.yml', absolute, text: await readFile(absolute, 'utf8') }];
  };
  const options = {
    store: await openStore(dir.path),
    engine: nativeEngine(),
    mirror: async () => archive.mirror,
    reporter: {
      emit: (event: ProgressEvent): void => {
        if (event.kind === 'warning') warnings.push(event.text);
      },
    },
    keyrings: [archive.keyring],
  };
  const workspace = await reopen();
  for (const item of lockedPackages(workspace.all())) await lockPackage(workspace, item, options);
  const targets = {
    packages: workspace.all(),
    configs: await configs(),
    resolveTag: async () => expect.unreachable(),
  };
  await pin(workspace, targets, options);
  commit(repo.path);
  await use({
    path: repo.path,
    warnings,
    options,
    read: async (name) => readFile(join(repo.path, name), 'utf8'),
    update: async (more = {}) =>
      update(await reopen(), {
        ...options,
        configs: await configs(),
        isSecurityOnly: true,
        isDryRun: false,
        isExcluded: ({ name }) => name.startsWith('lkt/linux'),
        reopen,
        ...more,
      }),
  });
}

const FIXED = app('1.0-1+deb13u1');

it('locks, builds and pins what a security update changes, and names what it fixes', async () => {
  await inCheckout(async ({ path, update: run, read }) => {
    await publish([FIXED], '1.1');
    const report = await run();
    expect(report).toMatchObject({
      packages: [
        {
          source: 'app',
          names: ['app'],
          from: '1.0-1',
          to: '1.0-1+deb13u1',
          isSecurity: true,
          vulnerabilities: [{ id: 'CVE-2026-1111', severity: 'unknown' }],
          locks: ['tools/base/debian.lock'],
        },
      ],
      affected: ['lkt/base', 'lkt/web'],
      pins: [{ file: 'pkg/web/Dockerfile' }, { file: 'examples/web.yml', line: 4 }],
    });
    expect(git(path, 'diff', '--name-only').split('\n')).toEqual([
      'examples/web.yml',
      'pkg/web/Dockerfile',
      'tools/base/debian.lock',
    ]);
    expect(await read('tools/base/debian.lock')).toContain('app 1.0-1+deb13u1 amd64 debian-sec');
    // The version that build.yml requires, and the excluded kernel.
    expect(report.left).toMatchObject([
      { file: 'tools/held/debian.lock', updates: [{ name: 'app', newest: '1.0-1+deb13u1' }] },
      { file: 'kernel/linux-source/debian.lock', updates: [{ name: 'src:linux' }] },
    ]);
    expect(await run()).toMatchObject({ packages: [], affected: [], pins: [] });
  });
});

it('warns of a locked package that has left the archive', async () => {
  await inCheckout(async ({ update: run, warnings }) => {
    await archive.publish('trixie', [app('1.0-1')], { sources: [linux('6.12.107')] });
    await run({ isDryRun: true });
    expect(warnings).toContainEqual(
      expect.stringMatching(/^the archive no longer has plain, which \S+debian\.lock locks$/),
    );
  });
});

it('updates packages without security fixes too, if not limited to security', async () => {
  await inCheckout(async ({ update: run }) => {
    await publish([FIXED], '1.1');
    const { packages, affected } = await run({ isSecurityOnly: false });
    expect(packages.map(({ source, isSecurity }) => [source, isSecurity])).toEqual([
      ['app', true],
      ['plain', false],
    ]);
    expect(affected).toEqual(['lkt/base', 'lkt/other', 'lkt/web']);
  });
});

it('takes the severity of a vulnerability from the databases', async () => {
  await inCheckout(async ({ update: run }) => {
    await publish([FIXED]);
    const advisories = new AdvisoryIndex();
    for (const [id, fixed] of [
      ['CVE-2026-1111', '1.0-1+deb13u1'],
      ['CVE-2026-3333', '1.0-1+deb13u1'],
      ['CVE-2026-4444', '1.0-1+deb13u9'],
    ] as const)
      advisories.add({
        id,
        aliases: [],
        summary: '',
        severity: 'high',
        affected: [{ ecosystem: 'debian', name: 'app', ranges: [{ fixed }], versions: [] }],
      });
    const { packages } = await run({ isDryRun: true, advisories });
    expect(packages[0]?.vulnerabilities).toEqual([
      { id: 'CVE-2026-1111', severity: 'high' },
      { id: 'CVE-2026-3333', severity: 'high' },
    ]);
  });
});

it('writes nothing in a dry run', async () => {
  await inCheckout(async ({ path, update: run }) => {
    await publish([FIXED]);
    const report = await run({ isDryRun: true, isExcluded: () => false });
    expect(report).toMatchObject({
      packages: [{ source: 'app' }],
      kernel: [{ from: '6.12.107-1', to: '6.12.113-1' }],
      affected: ['lkt/base', 'lkt/linux-config', 'lkt/linux-source', 'lkt/web'],
      pins: [],
    });
    expect(git(path, 'status', '--porcelain')).toBe('');
  });
});

it('updates the kernel in its series, with the packages made from it', async () => {
  await inCheckout(async ({ update: run, read }) => {
    await publish([FIXED]);
    const { kernel, left } = await run({ isExcluded: ({ name }) => name === 'lkt/base' });
    expect(kernel).toMatchObject([
      { to: '6.12.113-1', configs: [{ name: 'lkt/linux-config:/kernel-config' }] },
    ]);
    expect(await read('kernel/linux-source/build.yml')).toContain('linux (= 6.12.113-1)');
    expect(left.map(({ file }) => file)).toEqual([
      'tools/base/debian.lock',
      'tools/held/debian.lock',
    ]);
  });
});

it('updates each of several kernels, those without version by their locks', async () => {
  await inCheckout(async ({ path, options, update: run, read }) => {
    await publish([FIXED]);
    const older = [linux('6.1.170'), linux('6.12.107')];
    const sources = { sources: older, securitySources: [linux('6.1.176'), linux('6.12.113')] };
    await archive.publish('trixie', [app('1.0-1')], sources);
    await write(path, {
      'kernel/older-source/build.yml': buildYml('older-source', "sources: ['linux(= 6.1.170-1)']"),
      'kernel/any-source/build.yml': buildYml('any-source', 'sources: [linux]'),
      'kernel/any-source/debian.lock': (await read('kernel/linux-source/debian.lock')).replace(
        'sources=linux(=6.12.107-1)',
        'sources=linux',
      ),
    });
    const workspace = await openWorkspace(path, { env: ENV });
    await lockPackage(workspace, workspace.get('lkt/older-source'), options);
    commit(path);

    const { kernel, left, affected } = await run({
      isExcluded: ({ name }) => name === 'lkt/linux-source',
    });
    expect(kernel).toMatchObject([{ from: '6.1.170-1', to: '6.1.176-1' }]);
    expect(affected).toEqual(['lkt/any-source', 'lkt/older-source']);
    expect(await read('kernel/any-source/debian.lock')).toContain('src:linux 6.12.113-1');
    // The excluded kernel stays, and is named.
    expect(left.map(({ file }) => file)).toEqual(['kernel/linux-source/debian.lock']);

    expect((await run({ isExcluded: () => false })).kernel).toMatchObject([{ to: '6.12.113-1' }]);
    expect(await read('kernel/linux-source/build.yml')).toContain('linux (= 6.12.113-1)');
  });
});

it('undoes the update if a build fails', async () => {
  await inCheckout(async ({ path, warnings, update: run }) => {
    const { files: { 'usr/share/app/version': _gone, ...files } = {}, ...rest } = FIXED;
    await publish([{ ...rest, files }]);
    await expect(run({ isExcluded: () => false })).rejects.toThrow(
      'usr/share/app is not in lkt/base',
    );
    expect(git(path, 'status', '--porcelain')).toBe('');
    expect(warnings).toEqual([
      expect.stringMatching(/^the update failed, so \d files were restored/),
    ]);
  });
});

it('undoes the update if a test fails or the user interrupts it', async () => {
  await inCheckout(async ({ path, update: run }) => {
    await publish([FIXED]);
    let during = '';
    const test = async (): Promise<void> => {
      during = git(path, 'status', '--porcelain');
      throw new LktError('TEST_FAILED', 'failed');
    };
    await expect(run({ test })).rejects.toMatchObject({ code: 'TEST_FAILED' });
    expect(during).toContain('examples/web.yml');
    expect(git(path, 'status', '--porcelain')).toBe('');

    const stop = new AbortController();
    const interrupted = new LktError('INTERRUPTED', 'stopped');
    const stopped = run({
      signal: stop.signal,
      test: async () => {
        stop.abort(interrupted);
        throw interrupted;
      },
    });
    await expect(stopped).rejects.toBe(interrupted);
    expect(git(path, 'status', '--porcelain')).toBe('');
  });
});

it('writes no lock if one of them cannot be resolved', async () => {
  await inCheckout(async ({ path, update: run }) => {
    await publish([{ ...FIXED, fields: { Depends: 'missing' } }], '1.1');
    await expect(run({ isSecurityOnly: false })).rejects.toMatchObject({
      code: 'DEPENDENCY_UNRESOLVED',
    });
    expect(git(path, 'status', '--porcelain')).toBe('');
  });
});

it('leaves edits of other files alone when it fails', async () => {
  await inCheckout(async ({ path, update: run, read }) => {
    await publish([FIXED]);
    const test = async (): Promise<void> => {
      await writeFile(join(path, 'pkg/alone/Dockerfile'), 'FROM scratch\n');
      throw new LktError('TEST_FAILED', 'failed');
    };
    await expect(run({ test })).rejects.toMatchObject({ code: 'TEST_FAILED' });
    expect(await read('pkg/alone/Dockerfile')).toBe('FROM scratch\n');
  });
});

it('warns of a newer kernel source that the archive lists but does not serve', async () => {
  await inCheckout(async ({ update: run, warnings }) => {
    await publish([FIXED]);
    archive.files.delete('debian-security/pool/main/l/linux/linux_6.12.113.orig.tar.xz');
    const report = await run({ isDryRun: true, isExcluded: () => false });
    expect(report.kernel).toEqual([]);
    expect(warnings.join('\n')).toContain(
      'the archive lists linux 6.12.113-1, but does not serve its files; 6.12.107-1 stays',
    );
  });
});

it('lists newer versions in the archive, with the commands that update them', async () => {
  await inCheckout(async ({ path, options, warnings }) => {
    await publish([FIXED], '1.1');
    const workspace = await openWorkspace(path, { env: ENV });
    const { kernel, locks } = await debianUpdates(workspace, workspace.all(), options);
    expect(kernel).toMatchObject([
      {
        file: 'kernel/linux-source/build.yml',
        from: '6.12.107-1',
        to: '6.12.113-1',
        update: 'lkt kernel update kernel/linux-source',
      },
    ]);
    expect(locks).toMatchObject([
      { file: 'tools/base/debian.lock', update: 'lkt pkg lock --update tools/base' },
      { file: 'tools/held/debian.lock', update: 'lkt pkg lock --update tools/held' },
      { file: 'tools/other/debian.lock', updates: [{ name: 'plain', newest: '1.1' }] },
    ]);
    expect(warnings.join('\n')).not.toContain('serve');

    // A newer kernel that cannot be downloaded: no command updates it.
    archive.files.delete('debian-security/pool/main/l/linux/linux_6.12.113.orig.tar.xz');
    const unserved = await debianUpdates(workspace, workspace.all(), options);
    expect(unserved.kernel).toEqual([]);
    expect(unserved.locks.map(({ file }) => file)).not.toContain('kernel/linux-source/debian.lock');
    expect(warnings.join('\n')).toContain('the archive lists linux 6.12.113-1, but does not serve');
    expect(git(path, 'status', '--porcelain')).toBe('');
  });
});

it('refreshes the outdated locks and no others, all or none', async () => {
  await inCheckout(async ({ path, options, read }) => {
    const workspace = await openWorkspace(path, { env: ENV });
    const items = lockedPackages(workspace.all());
    await expect(updateLocks(workspace, items, options)).resolves.toEqual({ locks: [], left: [] });

    await publish([{ ...FIXED, fields: { Depends: 'missing' } }], '1.1');
    await expect(updateLocks(workspace, items, options)).rejects.toMatchObject({
      code: 'DEPENDENCY_UNRESOLVED',
    });
    expect(git(path, 'status', '--porcelain')).toBe('');

    await publish([FIXED], '1.1');
    const { locks, left } = await updateLocks(workspace, items, options);
    expect(
      locks.flatMap(({ file, changed }) =>
        changed.map(({ from, to }) => `${file} ${to.name} ${from.version} ${to.version}`),
      ),
    ).toEqual([
      'tools/base/debian.lock app 1.0-1 1.0-1+deb13u1',
      'tools/other/debian.lock plain 1.0 1.1',
    ]);
    expect(left.map(({ file }) => file)).toEqual([
      'tools/held/debian.lock',
      'kernel/linux-source/debian.lock',
    ]);
    expect(git(path, 'diff', '--name-only').split('\n')).toEqual([
      'tools/base/debian.lock',
      'tools/other/debian.lock',
    ]);
    expect(await read('tools/other/debian.lock')).toContain('plain 1.1');
  });
});

it('updates the digests of foreign images in Dockerfiles to those of their tags', async () => {
  await inCheckout(async ({ path, options: { store }, update: run, read }) => {
    const tags = await store.tags();
    const [alone, web] = ['lkt/alone', 'lkt/web'].map((name) => {
      const found = tags.find(({ reference }) => reference.includes(name));
      if (found === undefined) throw new Error(`no ${name}`);
      return found.descriptor;
    });
    if (alone === undefined || web === undefined) throw new Error('no images');
    const name = 'registry.example/team/base';
    await store.tag(`${name}:1`, alone);
    await store.tag(`${name}:2`, web);
    await write(path, {
      'pkg/foreign/build.yml': 'org: lkt\nimage: foreign\narches: [amd64]\n',
      'pkg/foreign/Dockerfile': `FROM ${name}:1@${alone.digest}\nCOPY Dockerfile /\n`,
    });
    commit(path);
    const resolveTag = async (): Promise<string> => web.digest;
    expect(await run({ resolveTag })).toMatchObject({ affected: [], pins: [] });
    const dry = await run({ resolveTag, isSecurityOnly: false, isDryRun: true });
    expect(dry.affected).toEqual(['lkt/foreign']);
    const { affected, pins } = await run({ resolveTag, isSecurityOnly: false });
    expect(affected).toEqual(['lkt/foreign']);
    expect(pins).toMatchObject([{ file: 'pkg/foreign/Dockerfile', line: 1 }]);
    expect(await read('pkg/foreign/Dockerfile')).toBe(
      `FROM ${name}:1@${web.digest}\nCOPY Dockerfile /\n`,
    );
  });
});
