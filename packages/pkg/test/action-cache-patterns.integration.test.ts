import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { openStore, type Store } from '@lkt/oci';
import { expect, it } from 'vitest';
import { findAction } from '../src/action-cache/find-action.ts';
import { recordAction, storeAction } from '../src/action-cache/record-action.ts';
import { recordPackages } from '../src/action-cache/record-packages.ts';
import { buildPackages } from '../src/build/build.ts';
import { packageGraph } from '../src/workspace/package-graph.ts';
import { commit, ENV, temporary, write } from '../../git/test/checkout.ts';
import { bench, type Bench } from './bench.ts';

/** A package with an argument for each package of unusual directories. */
const FILES = {
  'pkg/all/build.yml': 'org: lkt\nimage: all\nbuildArgs: ["OF_%=@lkt:pkgs:../../else/*/x*"]\n',
  'pkg/all/Dockerfile': 'FROM scratch\nCOPY . /\n',
  'else/a/x/build.yml': 'org: lkt\nimage: x\n',
  'else/a/x/Dockerfile': 'FROM scratch\nCOPY . /\n',
};

const NEW = { 'else/b/x/build.yml': 'org: lkt\nimage: y\n', 'else/b/x/Dockerfile': 'FROM scratch' };

type Change = (at: Bench) => unknown;

const CHANGES: readonly (readonly [string, Change])[] = [
  ['a new package', (at) => write(at.path, NEW)],
  ['a new directory', (at) => mkdirSync(join(at.path, 'else/a/x2'))],
  ['no package', (at) => rmSync(join(at.path, 'else/a/x'), { recursive: true })],
  ['another name', (at) => renameSync(join(at.path, 'else/a/x'), join(at.path, 'else/a/x2'))],
  ['a link', (at) => symlinkSync('x', join(at.path, 'else/a/x2'))],
  ['a link as parent', (at) => symlinkSync('a', join(at.path, 'else/b'))],
];

/** Builds the package, and returns the digests of the named one and of those that it uses. */
async function build(at: Bench, store: Store) {
  const workspace = await at.open();
  const targets = [await workspace.packageAt(join(at.path, 'pkg/all'))];
  const built = await buildPackages(workspace, targets, { ...at.options, store });
  const results = new Map(built.packages.map(({ item, index }) => [item.dir, index.digest]));
  return { inputs: built.inputs, results };
}

async function recorded(): Promise<Bench> {
  const at = await bench(FILES);
  commit(at.path);
  for (let run = 0; run < 2; run += 1) {
    const { inputs, results } = await build(at, at.store);
    const action = await recordPackages(inputs, results, undefined, [...results.keys()]);
    if (action !== undefined) await storeAction(at.store, entryOf(at), action);
  }
  expect(await found(at)).toHaveLength(1);
  return at;
}

function entryOf({ store }: Bench): string {
  return join(store.dir, 'results/x.packages');
}

async function found(at: Bench): Promise<readonly (readonly [string, string])[]> {
  const action = await findAction<string>(at.store.sealed.read(entryOf(at)), ENV);
  return Object.entries(action?.parts ?? {}).map(([dir, { result }]) => [dir, result] as const);
}

it.each(CHANGES)('finds what a build with an empty store has after: %s', async (_, change) => {
  await using at = await recorded();
  await change(at);
  await using dir = await temporary();
  const fresh = await build(at, await openStore(dir.path)).catch(() => undefined);
  expect([...(fresh?.results ?? [])]).toEqual(expect.arrayContaining([...(await found(at))]));
});

it('finds the result when a directory that the pattern skips appears', async () => {
  await using at = await recorded();
  await write(at.path, { 'else/a/.x/build.yml': '', 'else/a/y/build.yml': '', 'else/x': '' });
  expect(await found(at)).toHaveLength(1);
});

it('does not record a result that lacks a package which appeared meanwhile', async () => {
  await using at = await recorded();
  const { inputs, results } = await build(at, at.store);
  await write(at.path, NEW);
  const action = await recordPackages(inputs, results, undefined, [...results.keys()]);
  expect(action?.parts ?? {}).toEqual({});
});

it.each(CHANGES)('does not find the graph of other packages after: %s', async (_, change) => {
  await using at = await bench(FILES);
  const workspace = await at.open();
  const { hashes } = await packageGraph(workspace);
  const inputs = { workspace, hashes, files: new Map(), storePaths: [] };
  const action = recordAction(inputs, 'x');
  if (action === undefined) throw new Error('not recorded');
  await storeAction(at.store, entryOf(at), action);
  expect(await found(at)).toHaveLength(1);
  await change(at);
  expect(await found(at)).toEqual([]);
});
