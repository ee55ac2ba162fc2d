import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { BuildContext, BuildRequest } from '@lkt/builder';
import { type Descriptor, openStore, type Store } from '@lkt/oci';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { findAction } from '../src/action-cache/find-action.ts';
import { storeAction } from '../src/action-cache/record-action.ts';
import { recordPackages } from '../src/action-cache/record-packages.ts';
import { buildPackages } from '../src/build/build.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { commit, ENV, git, temporary, write } from '../../git/test/checkout.ts';
import { PlainEngine } from './plain-engine.ts';

const FILES = {
  'ws/pkg/base/build.yml': 'org: lkt\nimage: base\n',
  'ws/pkg/base/Dockerfile': 'FROM scratch\nCOPY . /\n',
  'ws/pkg/base/one/file': 'one',
  'ws/pkg/base/two/file': 'two',
  'ws/pkg/leaf/build.yml': 'org: lkt\nimage: leaf\nbuildArgs: ["BASE=@lkt:pkg:../base"]\n',
  'ws/pkg/leaf/Dockerfile': 'ARG BASE\nFROM ${BASE}\nCOPY . /\n',
  'ws/pkg/leaf/file': 'leaf',
  'ws/pkg/extra/build.yml': 'org: lkt\nimage: extra\nextra-sources: ["../../shared:shared"]\n',
  'ws/pkg/extra/Dockerfile': 'FROM scratch\nCOPY shared /\n',
  'ws/shared/file': 'shared',
  'else/a/build.yml': 'org: lkt\nimage: linked\n',
  'else/a/Dockerfile': 'FROM scratch\nCOPY . /\n',
  'else/b/build.yml': 'org: lkt\nimage: linked\n',
  'else/b/Dockerfile': 'FROM scratch\nCOPY . / \n',
};
const ALL = ['lkt/base', 'lkt/extra', 'lkt/leaf', 'lkt/linked'];

/** An engine whose image depends on all that a build context has. */
class WholeEngine extends PlainEngine {
  override async build(request: BuildRequest, tools: BuildContext): Promise<Descriptor> {
    const stats = request.context.map((file) => ({ ...file, stats: lstatSync(file.source) }));
    const context = stats.filter((file) => file.stats.isFile());
    this.salt = JSON.stringify(
      stats.map(({ path, source, stats: one }) =>
        one.isFile() ? [path, one.mode & 0o100] : [path, readlinkSync(source)],
      ),
    );
    return super.build({ ...request, context }, tools);
  }
}

const mirror = (): Promise<never> => Promise.reject(new Error('no mirror in this test'));

/** A workspace outside git. */
class Outside implements AsyncDisposable {
  readonly #dirs: readonly (AsyncDisposable & { path: string })[];
  readonly engine = new WholeEngine();
  readonly top: string;
  readonly store: Store;
  /** The directory that the workspace is opened from. */
  start = 'ws';

  private constructor(dirs: readonly (AsyncDisposable & { path: string })[], store: Store) {
    this.#dirs = dirs;
    this.top = dirs[0]?.path ?? '';
    this.store = store;
  }

  static async create(): Promise<Outside> {
    const dirs = [await temporary(), await temporary()];
    const [top, store] = dirs.map(({ path }) => path);
    await write(top ?? '', FILES);
    symlinkSync('../../else/a', join(top ?? '', 'ws/pkg/linked'));
    return new Outside(dirs, await openStore(store ?? ''));
  }

  path(name: string): string {
    return join(this.top, name);
  }

  get #entry(): string {
    return join(this.store.dir, 'results/x.packages');
  }

  async #found() {
    return findAction<Descriptor>(this.store.sealed.read(this.#entry), ENV);
  }

  /** Returns the digests of the packages that are known to be unchanged. */
  async found(): Promise<Readonly<Record<string, string>>> {
    const parts = Object.entries((await this.#found())?.parts ?? {});
    return Object.fromEntries(parts.map(([dir, { result }]) => [dir, result.digest]));
  }

  async #build(store: Store) {
    const workspace = await openWorkspace(this.path(this.start), { env: ENV });
    const reporter = { emit: () => undefined };
    const options = { store, engine: this.engine, mirror, reporter, jobs: 1 };
    return buildPackages(workspace, workspace.all(), options);
  }

  /**
   * Builds all packages, and records those that were in the store.
   * @param change called between the two
   */
  async build(change?: () => void): Promise<void> {
    const found = await this.#found();
    const { packages, inputs } = await this.#build(this.store);
    change?.();
    const results = new Map(packages.map(({ item, index }) => [item.dir, index]));
    const action = await recordPackages(inputs, results, found, [...results.keys()]);
    if (action !== undefined) await storeAction(this.store, this.#entry, action);
  }

  /** Returns the digests of all packages when they are built with an empty store. */
  async fresh(): Promise<Readonly<Record<string, string>>> {
    await using dir = await temporary();
    const { packages } = await this.#build(await openStore(dir.path));
    return Object.fromEntries(packages.map(({ item, index }) => [item.dir, index.digest]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const dir of this.#dirs) await dir[Symbol.asyncDispose]();
  }
}

async function recorded(start = 'ws'): Promise<Outside> {
  const at = await Outside.create();
  at.start = start;
  await at.build();
  await at.build();
  expect(Object.keys(await at.found())).toHaveLength(ALL.length);
  return at;
}

type Change = (at: Outside) => unknown;
const file =
  (name: string, text: string): Change =>
  (at) =>
    write(at.top, { [name]: text });

/** Writes a content of the same size, and sets the times that the file had. */
const rewrite =
  (name: string, text: string): Change =>
  (at) => {
    const { atime, mtime } = statSync(at.path(name));
    writeFileSync(at.path(name), text);
    utimesSync(at.path(name), atime, mtime);
  };

const link =
  (target: string, name: string): Change =>
  (at) => {
    rmSync(at.path(name), { force: true, recursive: true });
    symlinkSync(target, at.path(name));
  };

const BASE = 'ws/pkg/base';
const CHANGES: readonly (readonly [string, Change])[] = [
  ['same size and time', rewrite(`${BASE}/one/file`, 'eno')],
  ['as before', rewrite(`${BASE}/one/file`, 'one')],
  ['touched', (at) => utimesSync(at.path(`${BASE}/one/file`), 1, 1)],
  ['in the future', (at) => utimesSync(at.path(`${BASE}/one/file`), 2 ** 31, 2 ** 31)],
  ['executable', (at) => chmodSync(at.path(`${BASE}/two/file`), 0o755)],
  ['not executable', (at) => chmodSync(at.path(`${BASE}/two/file`), 0o644)],
  ['group', (at) => chmodSync(at.path(`${BASE}/two/file`), 0o664)],
  ['an empty directory', (at) => mkdirSync(at.path(`${BASE}/none`), { recursive: true })],
  ['a file of npm', file(`${BASE}/node_modules/x/index.js`, '')],
  ['a file of a nested repository', file(`${BASE}/one/.git/config`, '')],
  ['a hidden file', file(`${BASE}/.hidden`, '')],
  ['names that git ignores', file(`${BASE}/.gitignore`, '*\n')],
  ['an ignore file', file(`${BASE}/.dockerignore`, 'two\n')],
  ['another ignore file', file(`${BASE}/.dockerignore`, 'one\n')],
  ['an ignored file', file(`${BASE}/two/more`, 'more')],
  ['a link for a file', link('../two/file', `${BASE}/one/link`)],
  ['another link', link('file', `${BASE}/one/link`)],
  ['a link that leads outside', link('../../../../../else/a/Dockerfile', `${BASE}/one/link`)],
  ['a file outside', file('else/a/Dockerfile', 'FROM scratch\nCOPY build.yml /\n')],
  [
    'a file for a link',
    (at) => {
      rmSync(at.path(`${BASE}/one/link`), { force: true });
      writeFileSync(at.path(`${BASE}/one/link`), 'file');
    },
  ],
  [
    'renamed directories',
    (at) => {
      renameSync(at.path(`${BASE}/one`), at.path(`${BASE}/three`));
      renameSync(at.path(`${BASE}/two`), at.path(`${BASE}/one`));
      renameSync(at.path(`${BASE}/three`), at.path(`${BASE}/two`));
    },
  ],
  [
    'a replaced file',
    (at) => {
      writeFileSync(at.path(`${BASE}/new`), readFileSync(at.path(`${BASE}/one/file`)));
      renameSync(at.path(`${BASE}/new`), at.path(`${BASE}/one/file`));
    },
  ],
  ['the other package', link('../../else/b', 'ws/pkg/linked')],
  ['the package', link('../../else/a', 'ws/pkg/linked')],
  ['a file of the linked package', file('else/b/more', 'x')],
  ['a file outside of the package', file('ws/shared/file', 'edited')],
  ['a new package', file('ws/pkg/new/build.yml', 'org: lkt\nimage: new\n')],
  ['no new package', (at) => rmSync(at.path('ws/pkg/new'), { force: true, recursive: true })],
  [
    'another base',
    file('ws/pkg/leaf/build.yml', 'org: lkt\nimage: leaf\nbuildArgs: [BASE=scratch]\n'),
  ],
  ['its base', file('ws/pkg/leaf/build.yml', FILES['ws/pkg/leaf/build.yml'])],
];

it('finds only results that a build with an empty store has', async () => {
  const some = fc.array(fc.constantFrom(...CHANGES), { minLength: 1, maxLength: 6 });
  const property = fc.asyncProperty(some, async (changes) => {
    await using at = await recorded();
    // The new package has no Dockerfile of its own.
    await write(at.top, { 'ws/pkg/new/Dockerfile': 'FROM scratch\nCOPY . /\n' });
    for (const [, change] of changes) {
      await change(at);
      const fresh = await at.fresh();
      expect(fresh).toMatchObject(await at.found());
      await Promise.all([at.build(), at.build()]);
      expect(fresh).toMatchObject(await at.found());
      await at.build();
      expect(await at.found()).toEqual(fresh);
    }
  });
  await fc.assert(property, { numRuns: 3 });
}, 120_000);

it.each(CHANGES)('finds what a build with an empty store has after: %s', async (_, change) => {
  await using at = await recorded();
  await change(at);
  expect(await at.fresh().catch(() => ({}))).toMatchObject(await at.found());
});

it.each<[string, Change]>([
  ['a repository above', (at) => git(at.top, 'init', '--quiet')],
  ['a repository here', (at) => git(at.path('ws'), 'init', '--quiet')],
  ['a bare repository above', (at) => git(at.top, 'init', '--quiet', '--bare')],
  ['a package in a repository', (at) => git(at.path(BASE), 'init', '--quiet')],
  ['a workspace file', file('ws/lkt.yml', 'packages: ["pkg/*"]\n')],
  ['a trust policy above', file('trust.yml', 'required: true\n')],
])('finds nothing with %s', async (_, change) => {
  await using at = await recorded();
  await change(at);
  expect(await at.found()).toEqual({});
});

it('finds nothing if a nearer directory has packages', async () => {
  await using at = await recorded('ws/shared');
  await write(at.top, { 'ws/shared/pkg/x/build.yml': 'org: lkt\nimage: x\n' });
  expect(await at.found()).toEqual({});
});

it('does not record a package with more bytes than it may read, or with a pipe', async () => {
  await using at = await recorded();
  const big = at.path(`${BASE}/big`);
  writeFileSync(big, Buffer.alloc(17 * 2 ** 20));
  await write(at.top, { [`${BASE}/.dockerignore`]: 'big\n' });
  for (let run = 0; run < 2; run += 1) await at.build();
  // Those that do not use it.
  expect(Object.keys(await at.found())).toHaveLength(2);
  rmSync(big);
  execFileSync('mkfifo', [big]);
  for (let run = 0; run < 2; run += 1) await at.build();
  expect(Object.keys(await at.found())).toHaveLength(2);
});

it('does not record a package that changes after it was read', async () => {
  await using at = await Outside.create();
  await at.build();
  await at.build(() => writeFileSync(at.path(`${BASE}/one/file`), 'eno'));
  const found = await at.found();
  expect(Object.keys(found)).toHaveLength(2);
  expect(await at.fresh()).toMatchObject(found);
});

it.each([false, true])(
  'does not record a package whose paths are links, in git: %s',
  async (isIn) => {
    await using at = await Outside.create();
    await write(at.top, { 'ws/other/file': 'other' });
    symlinkSync('shared', at.path('ws/link'));
    await write(at.top, {
      'ws/pkg/extra/build.yml': 'org: lkt\nimage: extra\nextra-sources: ["../../link:shared"]\n',
    });
    rmSync(at.path('ws/pkg/linked'));
    if (isIn) {
      git(at.path('ws'), 'init', '--quiet');
      commit(at.path('ws'));
    }
    for (let run = 0; run < 2; run += 1) await at.build();
    expect(Object.keys(await at.found()).map((dir) => dir.split('/').at(-1))).toEqual([
      'base',
      'leaf',
    ]);
    await link('other', 'ws/link')(at);
    expect(await at.fresh()).toMatchObject(await at.found());
  },
);
