import { rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf, LktError } from '@lkt/core';
import { loadImage, parseIndex, writeIndex } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import type { BuildArg } from '../src/build-yml/build-args.ts';
import type { BuildOptions } from '../src/build/build-options.ts';
import { buildPackages } from '../src/build/build.ts';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { pinOf, type ReferenceProblem } from '../src/pins/check-pin.ts';
import { resolveImages } from '../src/pins/resolve-images.ts';
import { bench, FILES } from './bench.ts';
import { commit, git, write } from '../../git/test/checkout.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

const index = (built: readonly BuiltPackage[], name: string): string =>
  built.find(({ item }) => item.name === name)?.index.digest ?? '';

describe('buildPackages', () => {
  it('tags an index, with labels and the declared arguments', async () => {
    await using at = await bench();
    const [built] = await at.build('lkt/alone');
    const tree = git(at.path, 'rev-parse', 'HEAD:pkg/alone');
    expect(built).toMatchObject({ cached: false, references: [`docker.io/lkt/alone:${tree}`] });
    const descriptor = await at.store.resolve(`docker.io/lkt/alone:${tree}`);
    expect(descriptor?.digest).toBe(built?.index.digest);
    if (descriptor === undefined) throw new Error('it has no name');
    const { manifests } = parseIndex(await at.store.readBytes(descriptor));
    expect(manifests).toMatchObject([{ platform: { os: 'linux', architecture: 'amd64' } }]);
    const [request] = at.engine.requests;
    expect(request?.labels).toEqual({
      'org.mobyproject.config': '{"pid":"host"}',
      'org.opencontainers.image.source': 'https://git.example',
    });
    expect([...(request?.buildArgs ?? [])]).toEqual([
      ['SOURCE', 'https://git.example'],
      ['PKG_HASH', tree],
      ['PKG_IMAGE', 'lkt/alone'],
    ]);
    expect(request).toMatchObject({ name: 'lkt/alone', network: false, noCache: false });
  });

  it('reuses the result when times of the checkout or other packages change', async () => {
    await using at = await bench();
    const [first] = await at.build('lkt/alone');
    await write(at.path, {
      'pkg/init/new': 'x',
      'pkg/alone/Dockerfile': FILES['pkg/alone/Dockerfile'],
    });
    const [second] = await at.build('lkt/alone');
    expect(second).toMatchObject({ cached: true, index: first?.index });
    expect(at.engine.built).toEqual(['lkt/alone']);
    expect(at.events.filter(({ kind }) => kind === 'done')).toEqual([
      { kind: 'done', id: 'package lkt/alone', cached: false },
      { kind: 'done', id: 'package lkt/alone', cached: true },
    ]);
  });

  it('builds despite errors in packages that are not needed, and reports them', async () => {
    await using at = await bench({
      ...FILES,
      'pkg/wrong/build.yml': 'org: lkt\nimage: wrong\nnetwork: maybe\n',
      'pkg/far/build.yml': 'org: lkt\nimage: far\nextra-sources: [../nowhere:/x]\n',
      'pkg/far/Dockerfile': 'FROM scratch\n',
      'pkg/user/build.yml': 'org: lkt\nimage: user\n',
      'pkg/user/Dockerfile': `FROM lkt/wrong:1@sha256:${'0'.repeat(64)}\n`,
    });
    expect(await at.build('lkt/alone')).toMatchObject([{ cached: false }]);
    const warnings = at.events.filter(({ kind }) => kind === 'warning');
    expect(warnings).toMatchObject([{ text: expect.stringContaining('pkg/wrong/build.yml:3:10') }]);
    await expect(at.build('lkt/user')).rejects.toThrow(/^pkg\/wrong\/build\.yml:3:10/);
    await expect(at.build('lkt/far')).rejects.toThrow(/^pkg\/far\/build\.yml:3:17/);
  });

  it('rebuilds changed packages, under the dirty tag and the tag of the next commit', async () => {
    await using at = await bench();
    await at.build('lkt/alone');
    await write(at.path, { 'pkg/alone/new': 'x' });
    const [dirty] = await at.build('lkt/alone');
    const [tag, future] = dirty?.references ?? [];
    expect(tag).toMatch(/:[0-9a-f]{40}-dirty-[0-9a-f]{7}$/);
    commit(at.path);
    expect(future).toBe(`docker.io/lkt/alone:${git(at.path, 'rev-parse', 'HEAD:pkg/alone')}`);
    const [clean] = await at.build('lkt/alone');
    expect(clean).toMatchObject({ cached: true, index: dirty?.index });
  });

  it('rebuilds when a blob of the image is missing from the store', async () => {
    await using at = await bench();
    const [first] = await at.build('lkt/alone');
    if (first === undefined) throw new Error('nothing was built');
    const image = await loadImage(at.store, first.index.digest, AMD64);
    const [layer] = image.manifest.layers;
    if (layer === undefined) throw new Error('the image is empty');
    for (const gone of [layer.digest, image.descriptor.digest, first.index.digest]) {
      await rm(at.store.blobPath(gone));
      const [again] = await at.build('lkt/alone');
      // The index follows from the images: writing it again is not a build.
      expect(again).toMatchObject({ cached: gone === first.index.digest, index: first.index });
      expect(await at.store.has(gone)).toBe(true);
    }
  });

  it('rejects a manifest in the store that does not match its digest', async () => {
    await using at = await bench();
    const [first] = await at.build('lkt/alone');
    if (first === undefined) throw new Error('nothing was built');
    const { manifests } = parseIndex(await at.store.readBytes(first.index));
    const [manifest] = manifests;
    if (manifest === undefined) throw new Error('the index is empty');
    await rm(at.store.blobPath(manifest.digest));
    await writeFile(at.store.blobPath(manifest.digest), 'x'.repeat(manifest.size));
    await expect(at.build('lkt/alone')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('rebuilds forced targets but not their dependencies, and warns of a different result', async () => {
    await using at = await bench();
    await at.pin();
    at.engine.built.length = 0;
    const workspace = await at.open();
    await buildPackages(workspace, [workspace.get('lkt/init')], { ...at.options, force: true });
    expect(at.engine.built).toEqual(['lkt/init']);
    expect(at.engine.requests.at(-1)).toMatchObject({ noCache: false });
    expect(at.events.some(({ kind }) => kind === 'warning')).toBe(false);
    at.engine.salt = 'other';
    await buildPackages(workspace, [workspace.get('lkt/alone')], { ...at.options, force: true });
    expect(at.events.find(({ kind }) => kind === 'warning')).toMatchObject({
      text: expect.stringMatching(/^lkt\/alone is not reproducible/),
    });
  });

  it('ignores cached steps of the targets, and with deps also of their dependencies', async () => {
    await using at = await bench();
    await at.pin();
    const workspace = await at.open();
    const run = async (options: Partial<BuildOptions>): Promise<unknown> => {
      at.engine.requests.length = 0;
      await buildPackages(workspace, [workspace.get('lkt/init')], { ...at.options, ...options });
      return at.engine.requests.map(({ name, noCache }) => [name, noCache]);
    };
    expect(await run({ noCache: true })).toEqual([]);
    expect(await run({ noCache: true, force: true })).toEqual([['lkt/init', true]]);
    expect(await run({ force: true, deps: true })).toEqual([
      ['lkt/base', false],
      ['lkt/go', false],
      ['lkt/init', false],
    ]);
  });

  it('divides the processors among parallel builds', async () => {
    await using at = await bench();
    await at.build('lkt/alone');
    await write(at.path, { 'pkg/alone/new': 'x' });
    await at.build('lkt/alone', 'lkt/base');
    const cores = availableParallelism();
    const half = Math.max(1, Math.floor(cores / 2));
    expect(at.engine.requests.map(({ cpus }) => cpus)).toEqual(
      cores === 1 ? [1, 1, 1] : [cores, half, half],
    );
  });

  it('builds dependencies first, each once, with at most the requested number of jobs', async () => {
    await using at = await bench();
    await at.pin();
    await rm(`${at.store.dir}/results`, { recursive: true });
    at.engine.built.length = 0;
    let running = 0;
    let most = 0;
    at.engine.onBuild = async () => {
      running += 1;
      most = Math.max(most, running);
      await sleep(20);
      running -= 1;
    };
    const workspace = await at.open();
    const names = ['lkt/init', 'lkt/alone', 'lkt/go'];
    const targets = names.map((name) => workspace.get(name));
    const { packages: built } = await buildPackages(workspace, targets, { ...at.options, jobs: 2 });
    expect(at.engine.built.filter((name) => name !== 'lkt/alone')).toEqual([
      'lkt/base',
      'lkt/go',
      'lkt/init',
    ]);
    expect(built.map(({ item }) => item.name)).toEqual([
      'lkt/base',
      'lkt/go',
      'lkt/init',
      'lkt/alone',
    ]);
    expect(most).toBe(2);
  });

  it('builds once for two concurrent requests', async () => {
    await using at = await bench();
    at.engine.onBuild = () => sleep(100);
    const both = await Promise.all([at.build('lkt/alone'), at.build('lkt/alone')]);
    expect(at.engine.built).toEqual(['lkt/alone']);
    expect(index(both[0], 'lkt/alone')).toBe(index(both[1], 'lkt/alone'));
  });

  it('builds the same index from another checkout, store and state of git', async () => {
    await using one = await bench();
    await using two = await bench();
    await one.pin();
    await two.pin();
    commit(two.path);
    await rm(`${two.path}/.git`, { recursive: true });
    const a = await one.build('lkt/init');
    const b = await two.build('lkt/init');
    expect(index(a, 'lkt/init')).toBe(index(b, 'lkt/init'));
    expect(b.at(-1)?.references).toEqual(['docker.io/lkt/init:latest']);
  });

  it('stops at the first error and reports it', async () => {
    await using at = await bench();
    await at.pin();
    await rm(`${at.store.dir}/results`, { recursive: true });
    at.engine.built.length = 0;
    at.engine.onBuild = async ({ name }) => {
      if (name === 'lkt/base') throw new Error('broken base');
      await sleep(50);
    };
    await expect(at.build('lkt/init', 'lkt/alone')).rejects.toThrow('broken base');
    expect(at.engine.built).not.toContain('lkt/init');
    expect(at.events).toContainEqual({ kind: 'failed', id: 'package lkt/base' });
    expect(at.events).toContainEqual({
      kind: 'failed',
      id: 'package lkt/alone',
      stopped: true,
    });
    at.engine.onBuild = async () => undefined;
    await at.build('lkt/init', 'lkt/alone');
  });

  it('discards the result if the sources change during the build', async () => {
    await using at = await bench();
    at.engine.onBuild = () => write(at.path, { 'pkg/alone/build.yml': 'changed' });
    await expect(at.build('lkt/alone')).rejects.toMatchObject({
      code: 'IO_FAILED',
      message: 'build.yml changed while the build context was read',
    });
    await write(at.path, FILES);
    at.engine.onBuild = async () => undefined;
    expect(await at.build('lkt/alone')).toMatchObject([{ cached: false }]);
  });

  it('stops when the signal aborts', async () => {
    await using at = await bench();
    const stop = new AbortController();
    at.engine.onBuild = async () => stop.abort(new Error('enough'));
    const workspace = await at.open();
    const run = buildPackages(workspace, [workspace.get('lkt/alone')], {
      ...at.options,
      signal: stop.signal,
    });
    await expect(run).rejects.toThrow('enough');
  });
});

describe('buildPackages rejects', () => {
  it('a reference without digest, at its position', async () => {
    await using at = await bench();
    await expect(at.build('lkt/init')).rejects.toMatchObject({
      code: 'PIN_MISSING',
      message: expect.stringMatching(
        /^(pkg\/init|tools\/go)\/Dockerfile:1:6: lkt\/(go|base) has no digest$/,
      ),
      fix: 'run: lkt pin',
    });
  });

  it('a stale pin, with both digests', async () => {
    await using at = await bench();
    const { references } = await at.pin();
    const old = references.get('lkt/base')?.split('@')[1] ?? '';
    await write(at.path, { 'tools/base/new': 'x' });
    const now = index(await at.build('lkt/base'), 'lkt/base');
    await expect(at.build('lkt/init')).rejects.toMatchObject({
      code: 'PIN_STALE',
      message: `tools/go/Dockerfile:1:6: the pin of lkt/base is stale: it has ${old}, the sources build to ${now}`,
      fix: 'run: lkt pin',
      detail: expect.stringContaining('^^^^'),
    });
  });

  it('a pin with the tag of old sources, although the image is the same', async () => {
    await using at = await bench({ ...FILES, 'tools/base/.dockerignore': 'README.md\n' });
    await at.pin();
    await write(at.path, { 'tools/base/README.md': 'not in the context' });
    await expect(at.build('lkt/go')).rejects.toMatchObject({
      code: 'PIN_STALE',
      message: expect.stringMatching(
        /lkt\/base is stale: its tag is [0-9a-f]{40}, the source hash is [0-9a-f]{40} \(the digest is still sha256:.*\)/,
      ),
    });
    expect((await at.pin()).changes).toHaveLength(3);
  });

  it('an image that is in neither the store nor the workspace', async () => {
    const reference = `other/image:1@sha256:${'0'.repeat(64)}`;
    await using at = await bench({
      ...FILES,
      'tools/base/Dockerfile': `FROM scratch\nCOPY --from=${reference} / /\n`,
    });
    await expect(at.build('lkt/base')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `tools/base/Dockerfile:2:13: ${reference} is neither in the store nor a package of this workspace`,
    });
  });

  it('a digest that the store has under another name only', async () => {
    await using at = await bench();
    const [base] = await at.build('lkt/base');
    const digest = base?.index.digest ?? digestOf('');
    const manifest = base?.images[0]?.digest ?? '';
    const from = async (reference: string): Promise<unknown> => {
      await write(at.path, { 'tools/go/Dockerfile': `FROM ${reference}\n` });
      return at.build('lkt/go');
    };
    await expect(from(`other/image:1@${digest}`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `tools/go/Dockerfile:1:6: other/image:1@${digest} has the digest of another image: the store has it as lkt/base`,
    });
    await at.store.tag(
      'docker.io/library/image:2',
      base?.index ?? (await writeIndex(at.store, [])),
    );
    await from(`image:1@${digest}`);
    await from(`image@${manifest}`);
    await expect(from(`mirror.example/image@${digest}`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const nameless = await writeIndex(at.store, []);
    await expect(from(`x@${nameless.digest}`)).rejects.toMatchObject({
      message: expect.stringContaining('the store has no name for it'),
    });
  });

  it('an unpinned image, even if the store has one of that name', async () => {
    await using at = await bench({ ...FILES, 'tools/base/Dockerfile': 'FROM other/image:1\n' });
    await at.store.tag('docker.io/other/image:1', await writeIndex(at.store, []));
    await expect(at.build('lkt/base')).rejects.toMatchObject({ code: 'PIN_MISSING' });
  });

  it('packages that depend on each other', async () => {
    await using at = await bench({ ...FILES, 'tools/base/Dockerfile': 'FROM lkt/init\n' });
    await expect(at.build('lkt/go')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'packages depend on each other: lkt/go → lkt/base → lkt/init → lkt/go',
    });
  });

  it('an unsupported architecture, and a missing Dockerfile', async () => {
    await using at = await bench({
      'pkg/arm/build.yml': 'image: arm\narches: [arm64]\n',
      'pkg/none/build.yml': 'image: none\n',
    });
    await expect(at.build('linuxkit/arm')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'linuxkit/arm supports arm64, not amd64',
    });
    await expect(at.build('linuxkit/none')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'pkg/none has no Dockerfile',
    });
  });
});

describe('calculated build arguments', () => {
  const CALCULATED = {
    ...FILES,
    'pkg/calc/build.yml':
      'org: lkt\nimage: calc\narches: [amd64]\nbuildArgs:\n  - BASE=@lkt:pkg:../../tools/base\n  - ALL_%=@lkt:pkgs:../../tools/*\n',
    'pkg/calc/Dockerfile': 'ARG BASE\nARG ALL_LKT_GO\nFROM ${BASE}\n',
  };

  it('name the current packages and need no digest', async () => {
    await using at = await bench(CALCULATED);
    const built = await at.build('lkt/calc');
    expect(at.engine.built).toEqual(['lkt/base', 'lkt/calc']);
    const base = `lkt/base:${git(at.path, 'rev-parse', 'HEAD:tools/base')}`;
    const request = at.engine.requests.at(-1);
    expect(Object.fromEntries(request?.buildArgs ?? [])).toEqual({
      BASE: base,
      ALL_LKT_BASE: base,
      ALL_LKT_GO: `lkt/go:${git(at.path, 'rev-parse', 'HEAD:tools/go')}`,
    });
    expect([...(request?.bases ?? [])]).toEqual([[base, index(built, 'lkt/base')]]);
    await write(at.path, { 'tools/base/new': 'x' });
    await at.build('lkt/calc');
    expect(at.engine.built).toEqual(['lkt/base', 'lkt/calc', 'lkt/base', 'lkt/calc']);
  });

  it.each([
    ['X=@lkt:pkg:../nope', 'CONFIG_INVALID', /build\.yml:2:13: .*pkg\/nope is not a package/],
    ['X=@lkt:pkgs:../../tools/*', 'CONFIG_INVALID', /build\.yml:2:13: .*has no %/],
    ['X_%=@lkt:pkgs:../none*', 'CONFIG_INVALID', /build\.yml:2:13: .*no directory matches/],
    ['X=@lkt:what', 'CONFIG_INVALID', /build\.yml:2:13: .*not a reference to packages/],
  ])('%s', async (arg, code, message) => {
    await using at = await bench({
      ...FILES,
      'pkg/calc/build.yml': `image: calc\nbuildArgs: ["${arg}"]\n`,
      'pkg/calc/Dockerfile': 'FROM scratch\n',
    });
    await expect(at.build('linuxkit/calc')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });
});

function give(dir: string, args: Readonly<Record<string, string>>): BuildArg[] {
  return Object.entries(args).map(([name, value]) => ({
    name,
    value,
    dir,
    at: { error: (message) => new LktError('USAGE_INVALID', message) },
  }));
}

describe('build arguments from the command line', () => {
  const WITH_ARGS = {
    'pkg/x/build.yml':
      'org: lkt\nimage: x\narches: [amd64]\nbuildArgs: ["A=own", "IMAGE=@lkt:pkg:../y"]\n',
    'pkg/x/Dockerfile': 'ARG A\nARG B\nFROM scratch\nARG IMAGE\nARG PKG_HASH\n',
    'pkg/y/build.yml': 'org: lkt\nimage: y\narches: [amd64]\n',
    'pkg/y/Dockerfile': 'FROM scratch\nARG A\n',
  };
  it('override those of build.yml, and add a suffix to the tag', async () => {
    await using at = await bench(WITH_ARGS);
    const run = async (
      args: Readonly<Record<string, string>>,
    ): Promise<BuiltPackage | undefined> => {
      const workspace = await at.open();
      const options = { ...at.options, buildArgs: give(`${at.path}/pkg`, args) };
      return (await buildPackages(workspace, [workspace.get('lkt/x')], options)).packages.at(-1);
    };
    const tree = git(at.path, 'rev-parse', 'HEAD:pkg/x');
    const plain = await run({});
    expect(plain?.references).toEqual([`docker.io/lkt/x:${tree}`]);
    const other = await run({ A: 'given', B: 'b', NONE: 'x' });
    expect(Object.fromEntries(at.engine.requests.at(-1)?.buildArgs ?? [])).toMatchObject({
      A: 'given',
      B: 'b',
      PKG_HASH: tree,
    });
    expect(at.engine.requests.at(-1)?.buildArgs.has('NONE')).toBe(false);
    expect(other?.references).toHaveLength(1);
    expect(other?.references[0]).toMatch(new RegExp(`^docker.io/lkt/x:${tree}-args-[0-9a-f]{7}$`));
    expect(other === undefined ? '' : pinOf(other)).toContain(`${other?.tagSuffix}@`);
    expect((await at.store.resolve(`docker.io/lkt/x:${tree}`))?.digest).toBe(plain?.index.digest);
    expect(at.events).toContainEqual({
      kind: 'warning',
      text: 'no Dockerfile of this build has ARG NONE',
    });
    // The values of build.yml change nothing; the order does not matter.
    expect(await run({ A: 'own' })).toMatchObject({ cached: true, tagSuffix: '' });
    expect(await run({ B: 'b', A: 'given' })).toMatchObject({
      cached: true,
      references: other?.references,
    });
    expect((await run({ IMAGE: '@lkt:pkg:x/../y' }))?.tagSuffix).toBe('');
  });

  it('pass a proxy to RUN without ARG, and without effect on key and tag', async () => {
    await using at = await bench(WITH_ARGS);
    const run = async (
      args: Readonly<Record<string, string>>,
    ): Promise<BuiltPackage | undefined> => {
      const workspace = await at.open();
      const options = { ...at.options, buildArgs: give(at.path, args) };
      return (await buildPackages(workspace, [workspace.get('lkt/y')], options)).packages.at(-1);
    };
    const built = await run({ https_proxy: 'http://proxy:1' });
    expect(at.engine.requests.at(-1)?.buildArgs.get('https_proxy')).toBe('http://proxy:1');
    expect(built?.tagSuffix).toBe('');
    expect(at.events.filter(({ kind }) => kind === 'warning')).toEqual([]);
    expect(await run({})).toMatchObject({ cached: true, index: built?.index });
  });

  it('apply to the targets, not to their dependencies', async () => {
    await using at = await bench({
      ...WITH_ARGS,
      'pkg/x/Dockerfile': 'ARG IMAGE\nFROM $IMAGE\nARG A\n',
    });
    const workspace = await at.open();
    const options = { ...at.options, buildArgs: give('/', { A: 'given' }) };
    const { packages } = await buildPackages(workspace, [workspace.get('lkt/x')], options);
    expect(packages.map(({ tagSuffix }) => tagSuffix !== '')).toEqual([false, true]);
  });
});

function placed(problem: ReferenceProblem): never {
  throw Object.assign(new Error('placed'), { problem });
}

describe('resolveImages', () => {
  it('builds packages, checks pins and finds other images in the store', async () => {
    await using at = await bench();
    const { references } = await at.pin();
    const other = await writeIndex(at.store, []);
    await at.store.tag('docker.io/other/x:1', other);
    const workspace = await at.open();
    const pin = references.get('lkt/init') ?? '';
    const foreign = `other/x@${other.digest}`;
    const { digests } = await resolveImages(
      workspace,
      [
        { text: pin },
        { text: foreign },
        { text: '@pkg:../pkg/alone', packageDir: `${at.path}/pkg/alone` },
      ],
      at.options,
    );
    expect(Object.fromEntries(digests)).toEqual({
      [pin]: pin.split('@')[1],
      [foreign]: other.digest,
      '@pkg:../pkg/alone': references.get('lkt/alone')?.split('@')[1],
    });
  });

  it('pulls images side by side, and reports the first that fails', async () => {
    await using at = await bench();
    const names = ['fast', 'slow', 'refused', 'unknown'];
    const begun: (string | undefined)[] = [];
    const all = Promise.withResolvers<void>();
    const fetchImage: BuildOptions['fetchImage'] = async ({ path }) => {
      begun.push(path);
      if (begun.length === names.length) all.resolve();
      await all.promise;
      if (path === 'x/slow') await sleep(20);
      if (path !== 'x/fast') throw new LktError('NOT_FOUND', `no ${path}`);
    };
    const queries = names.map((name) => ({ text: `r.example/x/${name}@sha256:${'0'.repeat(64)}` }));
    const run = resolveImages(await at.open(), queries, { ...at.options, fetchImage });
    await expect(run).rejects.toThrow('no x/slow');
    expect(begun).toHaveLength(names.length);
  });

  it.each([
    ['lkt/init', 'PIN_MISSING'],
    [`lkt/init:x@sha256:${'0'.repeat(64)}`, 'PIN_STALE'],
    [`none/x@sha256:${'0'.repeat(64)}`, 'NOT_FOUND'],
    ['none/x:1', 'PIN_MISSING'],
  ])('%s is %s', async (text, code) => {
    await using at = await bench();
    await at.pin();
    at.engine.built.length = 0;
    const run = resolveImages(await at.open(), [{ text, error: placed }], at.options);
    await expect(run).rejects.toMatchObject({ message: 'placed', problem: { code } });
    await expect(resolveImages(await at.open(), [{ text }], at.options)).rejects.toMatchObject({
      code,
    });
  });
});

it('keeps the digests of one engine epoch', async () => {
  await using at = await bench();
  const { references } = await at.pin();
  expect(digestOf([...references.values()].join('\n'))).toMatchInlineSnapshot(
    `"sha256:c1a65e17e0e749153c0555da4085c36bdfcadbf75e6b6963dedc33b877a7eb54"`,
  );
});
