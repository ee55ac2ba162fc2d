import { realpathSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, asyncProperty } from 'fast-check';
import { expect, test, vi } from 'vitest';
import { commit, git, trees } from './commits.ts';
import { graphCase, type Case, directories, edited, filesOf } from './generated-graphs.ts';
import { affectedByNx, graphOf } from './nx-affected.ts';
import { LKT, TestWorkspace } from './workspace.ts';

vi.setConfig({ testTimeout: 900_000 });

/** Cases in one workspace, to run git and Nx once for all of them. */
const BATCH_SIZE = 250;
const CASES = 1000;

test(`affects the packages whose source hash, or a dependency’s, changed: ${CASES} graphs`, async () => {
  await using temporary = await mkdtempDisposable(join(realpathSync(tmpdir()), 'lkt-affected-'));
  const dir = temporary.path;
  git(dir, 'init', '--quiet', '--initial-branch=main');
  const nxJson = { plugins: [] };
  writeFileSync(join(dir, 'nx.json'), JSON.stringify(nxJson));
  writeFileSync(join(dir, 'package.json'), '{}');
  const affected = affectedByNx(dir);
  let seen = 0;
  let moved = 0;
  await assert(
    asyncProperty(
      array(graphCase, { minLength: BATCH_SIZE, maxLength: BATCH_SIZE }),
      async (cases) => {
        const names = cases.map((_one, index) => `c${index}`);
        const named = cases.map((one, index) => [names[index] ?? '', one] as const);
        commit(
          dir,
          new Map(named.flatMap(([name, one]) => [...filesOf(name, one, false)])),
          new Set(),
        );
        const before = trees(dir);
        const changed = named.map(([name, one]) => edited(name, one));
        commit(
          dir,
          new Map(changed.flatMap(({ files }) => [...files])),
          new Set(changed.flatMap(({ programs }) => [...programs])),
        );
        const after = trees(dir);
        const files = git(dir, 'diff', '--name-only', '--no-renames', 'HEAD~1', 'HEAD').split('\n');
        const graph = await graphOf(dir, nxJson);
        const output = await affected(
          nxJson,
          graph,
          files.filter((file) => file !== ''),
        );
        for (const [name, one] of named) {
          const own = output.filter((project) => project.startsWith(`${name}-`)).toSorted();
          const wanted = expected(name, one, before, after).toSorted();
          expect({ one, affected: own }).toEqual({ one, affected: wanted });
          seen += 1;
          moved += wanted.length;
        }
      },
    ),
    { numRuns: CASES / BATCH_SIZE, endOnFailure: true },
  );
  expect(seen).toBe(CASES);
  // Enough packages are affected, but not all.
  expect(moved).toBeGreaterThan(CASES / 2);
});

const LOCK = JSON.stringify({
  name: 'workspace',
  lockfileVersion: 3,
  packages: { '': { dependencies: { x: '1' } }, 'node_modules/x': { version: '1.0.0' } },
});

test('agrees with nx affected, and rebuilds no package for an npm lock file', async () => {
  const one: Case = {
    packages: [
      { nested: false, uses: [], extraSources: [0] },
      { nested: true, uses: ['from'], extraSources: [] },
      { nested: false, uses: ['not', 'argument'], extraSources: [] },
      { nested: false, uses: ['not', 'not', 'not'], extraSources: [1] },
    ],
    edits: [],
  };
  const files = Object.fromEntries(
    [...filesOf('c0', one, false)].filter(([, text]) => !text.startsWith('->')),
  );
  await using workspace = await TestWorkspace.create(
    { ...files, 'package-lock.json': LOCK },
    { lkt: LKT },
  );
  const affected = async (): Promise<readonly string[]> => {
    const output = await workspace.nx('affected', '-t', 'pkg-build', '--graph=stdout');
    const { tasks } = JSON.parse(output) as { tasks: { tasks: Record<string, unknown> } };
    return Object.keys(tasks.tasks).toSorted();
  };
  workspace.write({
    'c0/README.md': 'another',
    'package-lock.json': LOCK.replace('1.0.0', '1.0.1'),
  });
  expect(await affected()).toEqual([]);
  workspace.write({ 'c0/lib1/a.c': 'int b;' });
  expect(await affected()).toEqual(builds('p3'));
  workspace.write({ 'c0/p0/p1/file': 'another' });
  expect(await affected()).toEqual(builds('p0', 'p0-p1', 'p2', 'p3'));
});

function builds(...dirs: readonly string[]): readonly string[] {
  return dirs.map((dir) => `c0-${dir}:pkg-build`).toSorted();
}

/**
 * Returns the packages whose source hash changed according to git, or that of a dependency
 * according to the generated graph. An added dependency changes the package itself.
 */
function expected(
  name: string,
  one: Case,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const dirs = directories(name, one);
  const changed: boolean[] = [];
  for (const [index, dir] of dirs.entries()) {
    const { uses, extraSources } = one.packages[index] ?? { uses: [], extraSources: [] };
    const own = [dir, ...extraSources.map((library) => `${name}/lib${library}`)];
    const isOwn = own.some((path) => before.get(path) !== after.get(path));
    const byOthers = uses
      .slice(0, index)
      .some((use, other) => use !== 'not' && changed[other] === true);
    changed.push(isOwn || byOthers);
  }
  return dirs
    .filter((_dir, index) => changed[index] === true)
    .map((dir) => dir.replaceAll('/', '-'));
}
