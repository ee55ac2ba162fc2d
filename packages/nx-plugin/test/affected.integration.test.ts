import { realpathSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, asyncProperty } from 'fast-check';
import { expect, test, vi } from 'vitest';
import { commit, git, trees } from './commits.ts';
import { aCase, type Case, directories, edited, filesOf } from './generated-graphs.ts';
import { affectedByNx, graphOf } from './nx-affected.ts';
import { LKT, TestWorkspace } from './workspace.ts';

vi.setConfig({ testTimeout: 900_000 });

/** Cases that are in one workspace at once, so that git and Nx are asked once for all of them. */
const AT_ONCE = 250;
const CASES = 1000;

test(`what is affected is what has another source hash, itself or below: ${CASES} graphs`, async () => {
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
    asyncProperty(array(aCase, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (cases) => {
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
      const said = await affected(
        nxJson,
        graph,
        files.filter((file) => file !== ''),
      );
      for (const [name, one] of named) {
        const own = said.filter((project) => project.startsWith(`${name}-`)).toSorted();
        const wanted = expected(name, one, before, after).toSorted();
        expect({ one, affected: own }).toEqual({ one, affected: wanted });
        seen += 1;
        moved += wanted.length;
      }
    }),
    { numRuns: CASES / AT_ONCE, endOnFailure: true },
  );
  expect(seen).toBe(CASES);
  // Neither nothing nor all of it.
  expect(moved).toBeGreaterThan(CASES / 2);
});

const LOCK = JSON.stringify({
  name: 'workspace',
  lockfileVersion: 3,
  packages: { '': { dependencies: { x: '1' } }, 'node_modules/x': { version: '1.0.0' } },
});

test('nx affected says the same, and a lock file of npm rebuilds nothing', async () => {
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
    const said = await workspace.nx('affected', '-t', 'pkg-build', '--graph=stdout');
    const { tasks } = JSON.parse(said) as { tasks: { tasks: Record<string, unknown> } };
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
 * The packages whose source hash has changed, by git, or that of one that they use, by what was generated. A use that was
 * added is a change of the package's own.
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
