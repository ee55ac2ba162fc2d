import {
  appendFileSync,
  existsSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { loadImage } from '@lkt/oci';
import { expect, it } from 'vitest';
import { buildPackages } from '../src/build/build.ts';
import { findAction } from '../src/action-cache/find-action.ts';
import { storeAction } from '../src/action-cache/record-action.ts';
import { recordPackages } from '../src/action-cache/record-packages.ts';
import { bench } from './bench.ts';
import { commit, ENV, git, write } from '../../git/test/checkout.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
const ALL = ['lkt/base', 'lkt/go', 'lkt/init'];

/** Opens a checkout in which lkt/init was built from committed sources. */
async function recorded() {
  const at = await bench();
  await at.pin();
  // Older than the index, so that git trusts their times.
  for (const name of git(at.path, 'ls-files').split('\n'))
    utimesSync(join(at.path, name), 1e9, 1e9);
  commit(at.path);
  const path = join(at.store.dir, 'results/x.packages');
  const build = async (dirs: readonly string[] = ['pkg/init']): Promise<void> => {
    const workspace = await at.open();
    const named = dirs.map((dir) => join(at.path, dir));
    const targets = await Promise.all(named.map((dir) => workspace.packageAt(dir)));
    const { inputs, packages } = await buildPackages(workspace, targets, at.options);
    const order = packages.map(({ item }) => item.dir);
    const results = new Map(packages.map(({ item }) => [item.dir, item.name]));
    const action = await recordPackages(inputs, results, undefined, order);
    if (action !== undefined) await storeAction(at.store, path, action);
  };
  /** Returns the names of the packages that are found. */
  const find = async (): Promise<readonly string[]> => {
    const found = await findAction<string>(at.store.sealed.read(path), ENV);
    return Object.values(found?.parts ?? {}).map(({ result }) => result);
  };
  const image = async () => {
    const named = (await at.store.tags()).find(({ reference }) => reference.includes('/init:'));
    if (named === undefined) throw new Error('it has no name');
    const index = named.descriptor;
    const { manifest } = await loadImage(at.store, index.digest, AMD64);
    return { index, config: manifest.config };
  };
  return { ...at, record: path, build, find, image };
}

type Case = Awaited<ReturnType<typeof recorded>>;

it('returns the result of a build whose inputs are unchanged', async () => {
  await using at = await recorded();
  await at.build();
  expect(await at.find()).toEqual(ALL);
});

it('ignores changes to packages that were not read, as long as their names stay', async () => {
  await using at = await recorded();
  await at.build();
  await write(at.path, { 'pkg/alone/Dockerfile': 'FROM scratch\nARG MORE\n' });
  expect(await at.find()).toEqual(ALL);
  await at.build();
  expect(await at.find()).toEqual(ALL);
});

it.each<[string, (at: Case) => unknown]>([
  ['its sources', (at) => write(at.path, { 'pkg/init/Dockerfile': 'FROM scratch\n' })],
  ['the sources of a dependency', (at) => write(at.path, { 'tools/base/more': '' })],
  [
    'its committed sources',
    async (at) => (await write(at.path, { 'tools/base/more': '' }), commit(at.path)),
  ],
  ['its build.yml', (at) => write(at.path, { 'pkg/init/build.yml': 'org: lkt\nimage: other\n' })],
  [
    'the build.yml of another package',
    (at) => write(at.path, { 'pkg/alone/build.yml': 'org: lkt\nimage: init\n' }),
  ],
  ['a new package', (at) => write(at.path, { 'pkg/new/build.yml': 'org: lkt\nimage: init\n' })],
  ['the repository', (at) => rmSync(join(at.path, '.git'), { recursive: true })],
  ['the trust policy', (at) => write(at.path, { 'trust.yml': 'required: true\n' })],
  [
    'a dangling symlink as trust policy',
    (at) => symlinkSync('nowhere', join(at.path, 'trust.yml')),
  ],
  ['names in the store', (at) => writeFileSync(join(at.store.dir, 'index.json'), '{}')],
  ['a missing image', async (at) => rmSync(at.store.blobPath((await at.image()).config.digest))],
  [
    'an image, damaged',
    async (at) => {
      const { digest, size } = (await at.image()).index;
      rmSync(at.store.blobPath(digest));
      writeFileSync(at.store.blobPath(digest), 'x'.repeat(size));
    },
  ],
  ['its documents', (at) => rmSync(join(at.store.dir, 'attestations'), { recursive: true })],
  ['the record', (at) => appendFileSync(at.record, ' ')],
])('misses after a change of %s', async (_, change) => {
  await using at = await recorded();
  await at.build();
  expect(await at.find()).toEqual(ALL);
  await change(at);
  expect(await at.find()).not.toContain('lkt/init');
});

it('returns the result of a build of edited sources, until they or the commit change', async () => {
  await using at = await recorded();
  const file = join(at.path, 'tools/base/Dockerfile');
  const edit = async (text: string): Promise<void> =>
    write(at.path, { 'tools/base/Dockerfile': text });
  const before = readFileSync(file, 'utf8');
  await edit(`${before}# edited\n`);
  await at.build(['tools/base']);
  // Results of the first build are not recorded.
  await at.build(['tools/base']);
  expect(await at.find()).toEqual(['lkt/base']);
  await edit(`${before}# edit 2\n`);
  expect(await at.find()).toEqual([]);
  await edit(before);
  expect(await at.find()).toEqual([]);
  await edit(`${before}# edited\n`);
  expect(await at.find()).toEqual(['lkt/base']);
  commit(at.path);
  expect(await at.find()).toEqual([]);
});

it('returns the result of a build of files that git does not track, until it tracks them', async () => {
  await using at = await recorded();
  await write(at.path, { 'tools/base/new': '1' });
  await at.build(['tools/base']);
  await at.build(['tools/base']);
  expect(await at.find()).toEqual(['lkt/base']);
  await write(at.path, { 'tools/base/new': '2' });
  expect(await at.find()).toEqual([]);
  await write(at.path, { 'tools/base/new': '1' });
  expect(await at.find()).toEqual(['lkt/base']);
  git(at.path, 'add', '--all');
  expect(await at.find()).toEqual([]);
});

it('does not record a build of sources that git may convert', async () => {
  await using at = await recorded();
  await write(at.path, { '.gitattributes': '* text=auto\n', 'pkg/init/more': '\r\n' });
  await at.build();
  await at.build();
  expect(existsSync(at.record)).toBe(false);
});

it('does not record a build under a trust policy', async () => {
  await using at = await recorded();
  await write(at.path, { 'trust.yml': 'unsigned: ["**"]\n' });
  await at.build();
  expect(existsSync(at.record)).toBe(false);
});
