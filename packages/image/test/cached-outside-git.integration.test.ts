import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { openStore, type Store } from '@lkt/oci';
import {
  type BuildOptions,
  buildPackages,
  openWorkspace,
  recordAction,
  storeAction,
} from '@lkt/pkg';
import { findResult } from '@lkt/pkg/action-cache';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { PlainEngine } from '../../pkg/test/plain-engine.ts';
import { ENV } from '../../git/test/checkout.ts';
import { buildImage } from '../src/build-image.ts';
import { findCachedImage, toCachedImage } from '../src/cached-image.ts';
import { type Graph, readGraph } from '../src/graph.ts';
import { PLATFORM, Recorder, tempDir } from './support.ts';

const FILES = {
  'lkt.yml': 'packages: ["pkg/*"]\ncollections: {they: {source: "npm:@they/pkgs"}}\n',
  'system.yml':
    'init: ["@pkg:pkg/b", "@pkg:node_modules/@they/pkgs/pkg/lib"]\nfiles: [{path: given, source: given}]\n',
  given: 'given\n',
  'pkg/a/build.yml': 'org: t\nimage: a\nbuildArgs: ["X=@lkt:pkg:../../else/x"]\n',
  'pkg/a/Dockerfile': 'ARG X\nFROM ${X}\nCOPY . /\n',
  'pkg/a/file': 'one',
  'pkg/b/build.yml': 'org: t\nimage: b\nbuildArgs: ["BASE=@lkt:pkg:../a"]\n',
  'pkg/b/Dockerfile': 'ARG BASE\nFROM ${BASE}\nCOPY . /\n',
  'else/x/build.yml': 'org: t\nimage: x\nextra-sources: ["../shared:shared"]\n',
  'else/x/Dockerfile': 'FROM scratch\nCOPY . /\n',
  'else/shared/file': 'shared',
  'more/shared/file': 'another',
  'pkg/other/build.yml': 'org: t\nimage: other\n',
  'pkg/other/Dockerfile': 'FROM scratch\n',
  'node_modules/@they/pkgs/lkt.yml': 'org: they\n',
  'node_modules/@they/pkgs/pkg/lib/build.yml': 'image: lib\n',
  'node_modules/@they/pkgs/pkg/lib/Dockerfile': 'FROM scratch\nCOPY . /\n',
  'node_modules/@they/pkgs/pkg/lib/file': 'lib',
};

/** A workspace outside git with a collection of npm. */
class Case {
  readonly dir = join(tempDir(), 'ws');

  constructor() {
    for (const [name, text] of Object.entries(FILES)) this.write(name, text);
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** Builds the image, and returns the digests of its files; undefined if it fails. */
  async build(store: Store, out: string) {
    const absolute = this.path('system.yml');
    const config = { path: absolute, absolute, text: readFileSync(absolute, 'utf8') };
    const tools = this.#tools(store);
    const options = { ...tools, platform: PLATFORM, outDir: out, name: 'x' };
    const image = await buildImage(
      async () => openWorkspace(this.dir, { env: ENV }),
      { ...options, configs: [config], format: ['tar'], provenance: true },
      tools,
    );
    // A graph with a package that is not built is never recorded.
    const workspace = await openWorkspace(this.dir, { env: ENV });
    await buildPackages(workspace, workspace.all(), this.#tools(store));
    const again = await openWorkspace(this.dir, { env: ENV });
    const graph = await readGraph(again, [config], this.#tools(store));
    return { image, graph };
  }

  #tools(store: Store) {
    return {
      store,
      engine: new PlainEngine(),
      mirror: async () => Promise.reject(new Error('no mirror in this test')),
      reporter: new Recorder(),
    } satisfies BuildOptions;
  }

  async record(store: Store): Promise<void> {
    const { image, graph } = await this.build(store, this.path('out'));
    const actions = {
      image: image.inputs && recordAction(image.inputs, toCachedImage(image)),
      graph: graph.inputs && recordAction(graph.inputs, graph.graph),
    };
    for (const [name, action] of Object.entries(actions))
      if (action !== undefined) await storeAction(store, join(store.dir, 'results', name), action);
  }

  async find(store: Store) {
    const at = (name: string): string => join(store.dir, 'results', name);
    const image = await findCachedImage(store.sealed, at('image'), ENV, 0);
    const graph = await findResult<Graph>(store.sealed.read(at('graph')), ENV);
    return { image: image && digestsOf(image.files), graph };
  }

  /** Expects what is found to equal the results of a build with an empty store. */
  async expectFresh(store: Store): Promise<void> {
    const found = await this.find(store);
    if (found.image === undefined && found.graph === undefined) return;
    const fresh = await this.build(await openStore(tempDir()), tempDir()).catch(() => undefined);
    const digests = fresh && digestsOf(fresh.image.files);
    if (found.image !== undefined) expect(digests).toEqual(found.image);
    if (found.graph !== undefined) expect(fresh?.graph.graph).toEqual(found.graph);
  }
}

function digestsOf(files: readonly { readonly digest: string }[]): readonly string[] {
  return files.map(({ digest }) => digest);
}

async function recorded(
  prepare: (one: Case) => void = () => undefined,
): Promise<readonly [one: Case, store: Store]> {
  const one = new Case();
  prepare(one);
  const store = await openStore(tempDir());
  // The first builds the packages, which gives names to images.
  for (let run = 0; run < 2; run += 1) await one.record(store);
  const found = await one.find(store);
  expect([found.image, found.graph]).not.toContain(undefined);
  return [one, store];
}

type Change = (one: Case) => unknown;

const file =
  (name: string, text: string): Change =>
  (one) =>
    one.write(name, text);

/** Writes a content of the same size, and sets the times that the file had. */
const rewrite =
  (name: string, text: string): Change =>
  (one) => {
    const { atime, mtime } = statSync(one.path(name));
    writeFileSync(one.path(name), text);
    utimesSync(one.path(name), atime, mtime);
  };

const move =
  (from: string, to: string): Change =>
  (one) => {
    rmSync(one.path(to), { recursive: true, force: true });
    mkdirSync(dirname(one.path(to)), { recursive: true });
    renameSync(one.path(from), one.path(to));
    symlinkSync(one.path(to), one.path(from));
  };

const LIB = 'node_modules/@they/pkgs/pkg/lib';
const CHANGES: readonly (readonly [string, Change])[] = [
  ['nothing', () => undefined],
  ['a config', file('system.yml', `${FILES['system.yml']}# more\n`)],
  ['a file that it names', rewrite('given', 'Given\n')],
  ['a file of a base, same size and time', rewrite('pkg/a/file', 'eno')],
  ['the file as before', file('pkg/a/file', 'one')],
  ['a file that npm owns', file('pkg/a/node_modules/x', '')],
  ['a build.yml', file('pkg/b/build.yml', 'org: t\nimage: b\nbuildArgs: ["BASE=scratch"]\n')],
  ['the build.yml as before', file('pkg/b/build.yml', FILES['pkg/b/build.yml'])],
  ['a package that it does not use', file('pkg/other/Dockerfile', 'FROM scratch\nCOPY . /\n')],
  ['a file of the collection', rewrite(`${LIB}/file`, 'bil')],
  ['a new file of the collection', file(`${LIB}/more`, '')],
  ['a new package', file('pkg/new/build.yml', 'org: t\nimage: new\n')],
  ['its Dockerfile', file('pkg/new/Dockerfile', 'FROM scratch\n')],
  ['a link for a directory', move('pkg/a', 'moved/a')],
  ['a link beside other sources', move('else/x', 'more/x')],
  ['an extra source', file('else/shared/file', 'edited')],
  ['lkt.yml', file('lkt.yml', FILES['lkt.yml'].replace('pkg/*', 'pkg/**'))],
  ['no output', (one) => rmSync(one.path('out'), { recursive: true, force: true })],
];

it.each(CHANGES)('finds what a build with an empty store has after: %s', async (_, change) => {
  const [one, store] = await recorded();
  change(one);
  await one.expectFresh(store);
});

it('finds only what a build with an empty store has', async () => {
  const some = fc.array(fc.constantFrom(...CHANGES), { minLength: 1, maxLength: 5 });
  const property = fc.asyncProperty(some, async (changes) => {
    const [one, store] = await recorded();
    for (const [, change] of changes) {
      await Promise.resolve(change(one)).catch(() => undefined);
      await one.expectFresh(store);
      await one.record(store).catch(() => undefined);
      await one.expectFresh(store);
    }
  });
  await fc.assert(property, { numRuns: 3 });
}, 120_000);

it('finds a build after a change of a package that it does not use, but not the graph', async () => {
  const [one, store] = await recorded();
  one.write('pkg/other/Dockerfile', 'FROM scratch\nCOPY . /\n');
  const { image, graph } = await one.find(store);
  expect(image).toBeDefined();
  expect(graph).toBe(undefined);
});

it.each<[string, Change]>([
  ['a repository above', (one) => execFileSync('git', ['init', '-q', dirname(one.dir)])],
  ['a repository here', (one) => execFileSync('git', ['init', '-q', one.dir])],
  ['a trust policy above', file('../trust.yml', 'required: true\n')],
  ['a new package', file('pkg/new/build.yml', 'org: t\nimage: new\n')],
  ['a file of the collection', rewrite(`${LIB}/file`, 'bil')],
])('finds nothing after: %s', async (_, change) => {
  const [one, store] = await recorded();
  change(one);
  expect(await one.find(store)).toEqual({ image: undefined, graph: undefined });
});

it.each([
  ['linked', 'node_modules/@they/pkgs'],
  ['nearer', '../node_modules/@they/pkgs'],
])('finds nothing with another version of a collection, %s', async (kind, installed) => {
  const [one, store] = await recorded((fresh) => {
    move('node_modules/@they/pkgs', 'node_modules/.store/1')(fresh);
    renameSync(fresh.path('node_modules/@they/pkgs'), fresh.path('link'));
    mkdirSync(dirname(fresh.path(installed)), { recursive: true });
    renameSync(fresh.path('link'), fresh.path(installed));
    fresh.write('system.yml', FILES['system.yml'].replace('node_modules/@they/pkgs', installed));
  });
  cpSync(one.path('node_modules/.store/1'), one.path('node_modules/.store/2'), { recursive: true });
  one.write('node_modules/.store/2/pkg/lib/file', 'next');
  if (kind === 'linked') rmSync(one.path(installed));
  symlinkSync('../.store/2', one.path('node_modules/@they/pkgs'));
  expect(await one.find(store)).toEqual({ image: undefined, graph: undefined });
});

it('does not record a build with a package that is edited meanwhile', async () => {
  const one = new Case();
  const store = await openStore(tempDir());
  await one.record(store);
  const { image, graph } = await one.build(store, one.path('out'));
  one.write('pkg/a/file', 'two');
  expect(image.inputs && recordAction(image.inputs, {})).toBe(undefined);
  expect(graph.inputs && recordAction(graph.inputs, {})).toBe(undefined);
});
