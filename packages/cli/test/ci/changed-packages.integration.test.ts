import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadImage, writeImage } from '@lkt/oci';
import { buildPackages, recordPackages, storeAction } from '@lkt/pkg';
import { findAction } from '@lkt/pkg/action-cache';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Bench, bench } from '../../../pkg/test/bench.ts';
import { commit, ENV, git, write } from '../../../git/test/checkout.ts';
import { findTargets, orderOf, usableParts } from '../../src/targets/package-targets.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

interface Built {
  readonly name: string;
  readonly digest: string;
}

/** A workspace in which each kind of dependency occurs. */
const FILES = {
  'pkg/base/build.yml': 'org: lkt\nimage: base\n',
  'pkg/base/Dockerfile': 'FROM scratch\nCOPY file /\n',
  'pkg/base/file': 'base',
  'pkg/lib/build.yml': 'org: lkt\nimage: lib\nbuildArgs: ["BASE=@lkt:pkg:../base"]\n',
  'pkg/lib/Dockerfile': 'ARG BASE\nFROM ${BASE}\nCOPY file /\n',
  'pkg/lib/file': 'lib',
  'pkg/leaf/build.yml': 'org: lkt\nimage: leaf\nbuildArgs: ["BASE=@lkt:pkg:../lib"]\n',
  'pkg/leaf/Dockerfile': 'ARG BASE\nFROM ${BASE}\nCOPY file /\n',
  'pkg/leaf/file': 'leaf',
  'pkg/named/build.yml': 'org: lkt\nimage: named\nbuildArgs: ["OF=@lkt:pkg:../lib"]\n',
  'pkg/named/Dockerfile': 'FROM scratch\nARG OF\nLABEL of=${OF}\n',
  'pkg/extra/build.yml': 'org: lkt\nimage: extra\nextra-sources: ["../../shared:shared"]\n',
  'pkg/extra/Dockerfile': 'FROM scratch\nCOPY shared /\n',
  'pkg/alone/build.yml': 'org: lkt\nimage: alone\n',
  'pkg/alone/Dockerfile': 'FROM scratch\nCOPY file /\n',
  'pkg/alone/file': 'alone',
  'pkg/onother/build.yml': 'org: lkt\nimage: onother\n',
  'shared/file': 'shared',
};

const OTHER = 'registry.example/other';

/** A checkout whose packages can be built as the command does. */
class Checkout implements AsyncDisposable {
  readonly #at: Bench;
  readonly path: string;
  readonly entry: string;

  private constructor(at: Bench) {
    this.#at = at;
    this.path = at.path;
    this.entry = join(at.store.dir, 'results/x.packages');
  }

  static async create(): Promise<Checkout> {
    const at = await bench(FILES);
    const image = await writeImage(at.store, { config: {}, layers: [], platform: AMD64 });
    await at.store.tag(`${OTHER}:1`, image);
    const text = `FROM ${OTHER}:1@${image.digest}\nCOPY build.yml /\n`;
    await write(at.path, { 'pkg/onother/Dockerfile': text });
    commit(at.path);
    return new Checkout(at);
  }

  get store(): Bench['store'] {
    return this.#at.store;
  }

  /** Returns the names of the packages that are known to be unchanged. */
  async found(): Promise<readonly string[]> {
    const found = await findAction<Built>(this.store.sealed.read(this.entry), ENV);
    return Object.values(found?.parts ?? {}).map(({ result }) => result.name);
  }

  /** Builds packages as `lkt pkg build` does, by default `--all`. */
  async build(...dirs: readonly string[]) {
    const found = await findAction<Built>(this.store.sealed.read(this.entry), ENV);
    const parts = Object.values(found?.parts ?? {});
    if (found?.isWhole === true)
      return { results: parts.map(({ result }) => result), looked: [], built: [] };
    const workspace = await this.#at.open();
    const flags = { all: dirs.length === 0 };
    const known = usableParts(workspace, flags, found);
    const targets = await findTargets(workspace, dirs, flags, known);
    const names = Object.entries(known?.parts ?? {}).map(
      ([dir, { result }]) => [dir, result.name] as const,
    );
    const options = { ...this.#at.options, ...(known && { unchanged: new Map(names) }) };
    const { packages, inputs } = await buildPackages(workspace, targets.changed, options);
    const results = new Map(packages.map((one) => [one.item.dir, builtOf(one)]));
    const order = await orderOf(targets.dirs, packages, known);
    const action = await recordPackages(inputs, results, known, order);
    if (action !== undefined) await storeAction(this.store, this.entry, action);
    return {
      results: order.flatMap((dir) => results.get(dir) ?? known?.parts[dir]?.result ?? []),
      looked: packages.map(({ item }) => item.name).toSorted(),
      built: packages.flatMap(({ cached, item }) => (cached ? [] : item.name)),
    };
  }

  /** Looks at all packages, without the action cache. */
  async buildAll() {
    const before = await this.names();
    const workspace = await this.#at.open();
    const { packages } = await buildPackages(workspace, workspace.all(), this.#at.options);
    const dirs = workspace.all().map(({ dir }) => dir);
    const order = await orderOf(dirs, packages, undefined);
    const found = new Map(packages.map((one) => [one.item.dir, builtOf(one)]));
    const results = order.flatMap((dir) => found.get(dir) ?? []);
    return {
      results,
      names: results.map(({ name }) => name),
      built: packages.flatMap(({ cached, item }) => (cached ? [] : item.name)),
      isTagged: (await this.names()) === before,
    };
  }

  async names(): Promise<string> {
    return JSON.stringify(await this.store.tags());
  }

  async untag(name: string): Promise<void> {
    for (const { reference } of await this.store.tags())
      if (reference.includes(`${name}:`)) await this.store.untag(reference);
  }

  async retag(name: string, other: string): Promise<void> {
    const tags = await this.store.tags();
    const found = tags.find(({ reference }) => reference.includes(`${other}:`));
    for (const { reference } of tags)
      if (found !== undefined && reference.includes(`${name}:`))
        await this.store.tag(reference, found.descriptor);
  }

  async removeLayer(name: string): Promise<void> {
    for (const { reference, descriptor } of await this.store.tags()) {
      if (!reference.includes(`${name}:`)) continue;
      const { manifest } = await loadImage(this.store, descriptor.digest, AMD64);
      for (const { digest } of manifest.layers)
        rmSync(this.store.blobPath(digest), { force: true });
    }
  }

  removeResults(): void {
    for (const name of readdirSync(join(this.store.dir, 'results')))
      if (!name.endsWith('.packages')) rmSync(join(this.store.dir, 'results', name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#at[Symbol.asyncDispose]();
  }
}

function builtOf({ item, index }: Awaited<ReturnType<Bench['build']>>[number]): Built {
  return { name: item.name, digest: index.digest };
}

const ALL = ['alone', 'base', 'lib', 'leaf', 'extra', 'named', 'onother'].map((n) => `lkt/${n}`);

async function recorded(): Promise<Checkout> {
  const at = await Checkout.create();
  await at.build();
  // Only results that were in the store are recorded.
  await at.build();
  expect((await at.found()).toSorted()).toEqual(ALL.toSorted());
  return at;
}

const CHAIN = ['lkt/lib', 'lkt/leaf', 'lkt/named'];
type Change = (at: Checkout) => unknown;
const file =
  (name: string, text: string): Change =>
  (at) =>
    write(at.path, { [name]: text });

it.each<[string, readonly string[], Change]>([
  ['a file of a leaf', ['lkt/leaf'], file('pkg/leaf/file', 'edited')],
  ['the Dockerfile of a leaf', ['lkt/leaf'], file('pkg/leaf/Dockerfile', 'FROM scratch\n')],
  ['a file of a base', ['lkt/base', 'lkt/lib', 'lkt/leaf'], file('pkg/base/file', 'edited')],
  ['a package that a label names', CHAIN, file('pkg/lib/file', 'edited')],
  ['a file outside of the package', ['lkt/extra'], file('shared/file', 'edited')],
  [
    'the build.yml of a leaf',
    ['lkt/alone'],
    file('pkg/alone/build.yml', 'org: lkt\nimage: alone\nnetwork: true\n'),
  ],
  [
    'the build.yml of a base',
    ['lkt/base', 'lkt/lib', 'lkt/leaf'],
    file('pkg/base/build.yml', 'org: lkt\nimage: base\n# edited\n'),
  ],
  ['an untracked file', ['lkt/alone'], file('pkg/alone/more', 'new')],
  [
    'a staged file',
    ['lkt/alone'],
    async (at) => (await write(at.path, { 'pkg/alone/file': 'x' }), git(at.path, 'add', '--all')),
  ],
  [
    'a committed file',
    ['lkt/alone'],
    async (at) => (await write(at.path, { 'pkg/alone/file': 'x' }), commit(at.path)),
  ],
  ['a deleted file', ['lkt/alone'], (at) => rmSync(join(at.path, 'pkg/alone/file'))],
  ['the name of another image', ['lkt/onother'], (at) => at.untag(OTHER)],
  ['a removed name', ['lkt/alone'], (at) => at.untag('lkt/alone')],
  ['a moved name', ['lkt/alone'], (at) => at.retag('lkt/alone', 'lkt/lib')],
  ['a missing layer', ['lkt/lib', 'lkt/leaf'], async (at) => at.removeLayer('lkt/lib')],
])('looks only at packages that %s changes', async (_, changed, change) => {
  await using at = await recorded();
  await change(at);
  expect((await at.found()).toSorted()).toEqual(
    ALL.filter((name) => !changed.includes(name)).toSorted(),
  );
});

it.each<[string, Change]>([
  ['the name in a build.yml', file('pkg/alone/build.yml', 'org: lkt\nimage: other\n')],
  ['the tag in a build.yml', file('pkg/alone/build.yml', 'org: lkt\nimage: alone\ntag: x\n')],
  ['a build.yml in unusual YAML', file('pkg/alone/build.yml', '{ org: lkt, image: alone }\n')],
  ['a new package', file('pkg/new/build.yml', 'org: lkt\nimage: new\n')],
  ['a removed package', (at) => rmSync(join(at.path, 'pkg/alone'), { recursive: true })],
  ['lkt.yml', file('lkt.yml', 'packages: ["pkg/*"]\n')],
  ['a trust policy', file('trust.yml', 'required: true\n')],
])('looks at all packages after a change of %s', async (_, change) => {
  await using at = await recorded();
  await change(at);
  expect(await at.found()).toEqual([]);
});

it('looks at a package again after a change of one that only a label names', async () => {
  await using at = await Checkout.create();
  await at.build('pkg/named');
  await at.build('pkg/named');
  expect(await at.found()).toEqual(['lkt/named']);
  await write(at.path, { 'pkg/lib/file': 'edited' });
  expect(await at.found()).toEqual([]);
});

it('builds the leaf that changed, looks at what it uses, and records it at the next run', async () => {
  await using at = await recorded();
  await write(at.path, { 'pkg/leaf/file': 'edited' });
  const chain = ['lkt/base', 'lkt/leaf', 'lkt/lib'];
  const first = await at.build();
  expect(first.looked).toEqual(chain);
  expect(first.built).toEqual(['lkt/leaf']);
  expect(first.results.map(({ name }) => name)).toEqual((await at.buildAll()).names);
  expect((await at.build()).looked).toEqual(chain);
  expect((await at.build()).looked).toEqual([]);
});

const CHANGES: readonly (readonly [string, Change])[] = [
  ...['base', 'lib', 'leaf', 'alone'].flatMap((name) =>
    ['one', 'two', name].map(
      (text) => [`${name} ${text}`, file(`pkg/${name}/file`, text)] as const,
    ),
  ),
  ['shared', file('shared/file', 'edited')],
  ['untracked', file('pkg/alone/more', 'new')],
  ['tracked no more', (at) => rmSync(join(at.path, 'pkg/alone/more'), { force: true })],
  ['another base', file('pkg/leaf/build.yml', FILES['pkg/leaf/build.yml'].replace('lib', 'base'))],
  ['its base', file('pkg/leaf/build.yml', FILES['pkg/leaf/build.yml'])],
  ['another name', file('pkg/alone/build.yml', 'org: lkt\nimage: other\n')],
  ['its name', file('pkg/alone/build.yml', FILES['pkg/alone/build.yml'])],
  ['another Dockerfile', file('pkg/leaf/Dockerfile', 'FROM scratch\nCOPY file /\n')],
  ['its Dockerfile', file('pkg/leaf/Dockerfile', FILES['pkg/leaf/Dockerfile'])],
  ['staged', (at) => git(at.path, 'add', '--all')],
  ['committed', (at) => commit(at.path)],
  ['name', (at) => at.untag('lkt/lib')],
  ['moved name', (at) => at.retag('lkt/alone', 'lkt/lib')],
  ['layer', async (at) => at.removeLayer('lkt/base')],
  ['results', (at) => at.removeResults()],
];

it('has the results of a build of all packages after any changes', async () => {
  const some = fc.array(fc.constantFrom(...CHANGES), { minLength: 1, maxLength: 6 });
  const property = fc.asyncProperty(some, async (changes) => {
    await using at = await recorded();
    for (const [, change] of changes) {
      await change(at);
      const { results } = await at.build();
      const all = await at.buildAll();
      expect(results).toEqual(all.results);
      // Nothing was left to be built or named.
      expect(all.built).toEqual([]);
      expect(all.isTagged).toBe(true);
    }
  });
  await fc.assert(property, { numRuns: 8 });
}, 120_000);
