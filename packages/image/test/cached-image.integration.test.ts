import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseDigest } from '@lkt/core';
import { MediaType, parseReference, type Store } from '@lkt/oci';
import {
  type BuildOptions,
  openWorkspace,
  recordAction,
  storeAction,
  type Workspace,
} from '@lkt/pkg';
import { expect, it } from 'vitest';
import { buildImage, type BuildImageOptions } from '../src/build-image.ts';
import { type CachedImage, findCachedImage, toCachedImage } from '../src/cached-image.ts';
import { PLATFORM, Recorder, sampleConfig, tempDir, tempStore } from './support.ts';

const ENV = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
};

const unused = async (): Promise<never> => Promise.reject(new Error('nothing is to be built'));

/** A clean checkout with a config, and a store with the config's images. */
class Case {
  readonly dir = tempDir();
  readonly record = join(tempDir(), 'record');
  readonly store: Store;
  readonly events = new Recorder();
  /** Called when the workspace is open, and a package that the config does not use was parsed. */
  onOpen: () => void = () => undefined;

  constructor(store: Store, config: string) {
    this.store = store;
    this.write('pkg/a/build.yml', 'org: test\nimage: a\n');
    this.write('pkg/a/Dockerfile', 'FROM scratch\n');
    this.write('pkg/unused/build.yml', 'org: test\nimage: unused\n');
    this.write('pkg/unused/Dockerfile', 'FROM scratch\n');
    this.write('pkg/notes', '');
    this.git('init', '--quiet', '--initial-branch=main');
    this.commit();
    this.write('base.yml', `${config}  - {path: etc/given, source: given}\n`);
    this.write('system.yml', 'include: [base.yml]\n');
    this.write('given', 'from this machine\n');
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  git(...args: readonly string[]): void {
    const user = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
    execFileSync('git', [...user, ...args], { cwd: this.dir, env: ENV });
  }

  commit(): void {
    // Older than the index, so that git trusts their times.
    for (const name of ['a/build.yml', 'a/Dockerfile', 'notes'])
      if (existsSync(this.path(`pkg/${name}`))) utimesSync(this.path(`pkg/${name}`), 1e9, 1e9);
    this.git('add', 'pkg');
    this.git('commit', '--quiet', '--message', 'x');
  }

  async build(options: Partial<BuildImageOptions> = {}): Promise<void> {
    const absolute = this.path('system.yml');
    const tools = {
      store: this.store,
      engine: { build: unused },
      mirror: unused,
      reporter: this.events,
    } satisfies BuildOptions;
    const all: BuildImageOptions = {
      ...tools,
      configs: [{ path: absolute, absolute, text: readFileSync(absolute, 'utf8') }],
      platform: PLATFORM,
      format: ['kernel+initrd'],
      outDir: this.path('out'),
      name: 'system',
      sbom: {},
      provenance: true,
      ...options,
    };
    const open = async (): Promise<Workspace> => {
      const workspace = await openWorkspace(this.dir, { env: ENV });
      // As for an image of this name in a config, but without a build.
      workspace.find(parseReference('test/a'));
      this.onOpen();
      return workspace;
    };
    const image = await buildImage(open, all, tools);
    const action = image.inputs && recordAction(image.inputs, toCachedImage(image));
    if (action !== undefined) await storeAction(this.store, this.record, action);
  }

  async find(): Promise<CachedImage | undefined> {
    return findCachedImage(this.store.sealed, this.record, ENV, 0);
  }
}

async function newCase(): Promise<Case> {
  const store = await tempStore();
  const config = await sampleConfig(store);
  for (const [, name = '', text = ''] of config.matchAll(/(\S+)@(sha256:\S+)/g)) {
    const digest = parseDigest(text);
    const size = (await store.size(digest)) ?? 0;
    await store.tag(`docker.io/${name}`, { mediaType: MediaType.ociManifest, digest, size });
  }
  return new Case(store, config);
}

it('returns the cached result and sets the times of the outputs to now', async () => {
  const one = await newCase();
  await one.build();
  const { size, ino } = statSync(one.path('out/system-initrd.img'));
  for (const name of ['kernel', 'initrd.img', 'cmdline', 'sbom.spdx.json', 'provenance.json'])
    utimesSync(one.path(`out/system-${name}`), 1e9, 1e9);
  const found = await one.find();
  expect(found?.files.map(({ path }) => path.replace(`${one.dir}/out/system-`, ''))).toEqual([
    'kernel',
    'initrd.img',
    'cmdline',
    'sbom.spdx.json',
    'provenance.json',
  ]);
  expect(found?.files[1]).toMatchObject({ size });
  expect(found?.minimumMemory).toBeGreaterThan(0);
  const { mtimeMs, ino: inoNow } = statSync(one.path('out/system-initrd.img'));
  expect(inoNow).toBe(ino);
  expect(Date.now() - mtimeMs).toBeLessThan(3600_000);
});

it.each<[string, (one: Case) => void]>([
  ['a config', (one) => appendFileSync(one.path('system.yml'), '# more\n')],
  ['a config that is included', (one) => appendFileSync(one.path('base.yml'), '# more\n')],
  ['a file that is put into it', (one) => writeFileSync(one.path('given'), 'From this machine\n')],
  ['the same, gone', (one) => rmSync(one.path('given'))],
  ['the source of a package', (one) => appendFileSync(one.path('pkg/a/Dockerfile'), '# more\n')],
  [
    'the same, committed',
    (one) => (one.write('pkg/a/Dockerfile', 'FROM  scratch\n'), one.commit()),
  ],
  ['a new file in a package', (one) => one.write('pkg/a/new', '')],
  [
    'the description of a package that it does not use',
    (one) => one.write('pkg/unused/build.yml', 'org: lkt\nimage: init\n'),
  ],
  ['a new package', (one) => one.write('pkg/b/build.yml', 'org: test\nimage: b\n')],
  ['a new package elsewhere', (one) => one.write('tools/build.yml', 'org: test\nimage: b\n')],
  [
    'a package elsewhere that git tracks',
    (one) => (one.write('services/web/build.yml', 'image: b\n'), one.git('add', 'services')),
  ],
  ['a package, gone', (one) => rmSync(one.path('pkg/a'), { recursive: true })],
  ['the repository', (one) => rmSync(one.path('.git'), { recursive: true })],
  ['the policy', (one) => one.write('trust.yml', 'required: true\n')],
  ['a policy by another name', (one) => one.write('trust.yaml', 'required: true\n')],
  ['a policy with a typo', (one) => one.write('TRUST.Yml', 'required: true\n')],
  ['a link as the policy', (one) => symlinkSync('nowhere', one.path('trust.yml'))],
  ['names in the store', (one) => writeFileSync(join(one.store.dir, 'index.json'), '{}')],
  ['the segments', (one) => rmSync(join(one.store.dir, 'segments'), { recursive: true })],
  ['an output', (one) => writeFileSync(one.path('out/system-cmdline'), 'console=ttyS1')],
  ['an output, gone', (one) => rmSync(one.path('out/system-initrd.img'))],
  ['the record', (one) => appendFileSync(one.record, ' ')],
])('misses after a change of %s', async (_, change) => {
  const one = await newCase();
  await one.build();
  expect(await one.find()).toBeDefined();
  change(one);
  expect(await one.find()).toBeUndefined();
});

it('returns the cached result after a change of a package that it does not use', async () => {
  const one = await newCase();
  one.write('pkg/unused/Dockerfile', 'FROM  scratch\n');
  await one.build();
  expect(await one.find()).toBeDefined();
  one.write('pkg/unused/new', '');
  expect(await one.find()).toBeDefined();
});

it.each<[string, (one: Case) => void, Partial<BuildImageOptions>?]>([
  ['a policy with rules', (one) => one.write('trust.yml', 'unsigned: ["**"]\n')],
  [
    'rules of a config',
    (one) =>
      appendFileSync(
        one.path('base.yml'),
        'trust: {signers: [{images: [other/*], keys: [key.pub]}]}\n',
      ),
  ],
  [
    'sources that git may convert',
    (one) => {
      one.write('pkg/a/.gitattributes', '* text=auto\n');
      one.write('pkg/a/more', '\r\n');
    },
  ],
  [
    'a directory of this machine',
    (one) => appendFileSync(one.path('base.yml'), '  - {path: d, source: pkg}\n'),
  ],
  ['a pattern', (one) => appendFileSync(one.path('base.yml'), '  - {path: d, source: "give*"}\n')],
])('does not record a build with %s', async (_, change) => {
  const one = await newCase();
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  one.write('key.pub', publicKey.export({ type: 'spki', format: 'pem' }).toString());
  change(one);
  await one.build();
  expect(existsSync(one.record)).toBe(false);
  expect(await one.find()).toBeUndefined();
});

it('misses after a change of the audit waivers and when the audit expires', async () => {
  const one = await newCase();
  const found = { images: 1, programs: 2, bad: 0, waived: 0, until: 1000 };
  const audit = {
    prepare: async () => Promise.resolve(),
    run: async () => Promise.resolve(found),
    isGate: false,
    inputs: [one.path('.audit.yml')],
  };
  await one.build({ audit });
  expect((await one.find())?.audit).toEqual(found);
  expect(await findCachedImage(one.store.sealed, one.record, ENV, 999)).toBeDefined();
  expect(await findCachedImage(one.store.sealed, one.record, ENV, 1000)).toBeUndefined();
  one.write('.audit.yml', 'waivers: []\n');
  expect(await one.find()).toBeUndefined();
});

it('does not record a build whose inputs changed meanwhile', async () => {
  const one = await newCase();
  const emit = one.events.emit.bind(one.events);
  one.events.emit = (event) => {
    emit(event);
    if (event.kind === 'done') appendFileSync(one.path('base.yml'), '#\n');
  };
  await one.build();
  expect(existsSync(one.record)).toBe(false);
});

it.each<[string, string]>([
  ['that was parsed', 'pkg/a/build.yml'],
  ['that was read to see its name', 'pkg/unused/build.yml'],
])('does not record a build after an edit of a build.yml %s', async (_, file) => {
  const one = await newCase();
  const text = readFileSync(one.path(file), 'utf8');
  one.onOpen = () => one.write(file, `${text}# more\n`);
  await one.build();
  expect(existsSync(one.record)).toBe(false);
  one.onOpen = () => undefined;
  await one.build();
  expect(await one.find()).toBeDefined();
});
