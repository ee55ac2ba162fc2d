import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { LKT, TestWorkspace } from './workspace.ts';

vi.setConfig({ testTimeout: 600_000 });

/** Packages with every kind of dependency that implies an order, and one for two platforms. */
const FILES = {
  'pkg/base/build.yml': 'org: t\nimage: base\n',
  'pkg/base/Dockerfile': 'FROM scratch\nCOPY base /base\n',
  'pkg/base/base': '1',
  'pkg/argument/build.yml': 'org: t\nimage: argument\nbuildArgs: ["B=@lkt:pkg:../base"]\n',
  'pkg/argument/Dockerfile': 'ARG B\nFROM ${B}\nCOPY file /argument\n',
  'pkg/argument/file': '2',
  'pkg/stage/build.yml':
    'org: t\nimage: stage\nbuildArgs: ["B=@lkt:pkg:../argument"]\nextra-sources: ["../../lib:lib"]\n',
  'pkg/stage/Dockerfile':
    'ARG B\nFROM ${B} AS other\nFROM scratch\nCOPY --from=other /argument /\nCOPY lib /lib\n',
  'pkg/alone/build.yml': 'org: t\nimage: alone\narches: [amd64, arm64]\n',
  'pkg/alone/Dockerfile': 'FROM scratch\nARG TARGETARCH\nCOPY build.yml /$TARGETARCH\n',
  'lib/a.c': 'int a;\n',
};
const PLATFORMS = ['linux/amd64', 'linux/arm64'];
const DIRS = ['alone', 'argument', 'base', 'stage'];

interface Built {
  readonly packages: readonly { name: string; digest: string; cached: boolean }[];
}

/**
 * Returns the result of `lkt pkg build --deps --all`: the digest of each package, and whether all
 * were cached.
 */
async function digestsByLkt(
  workspace: TestWorkspace,
): Promise<{ readonly digests: Readonly<Record<string, string>>; readonly cached: boolean }> {
  const args = ['--deps', '--all', '--json', '--quiet', '--platforms', PLATFORMS.join(',')];
  const { packages } = JSON.parse(await workspace.lkt('pkg', 'build', ...args)) as Built;
  return {
    digests: Object.fromEntries(packages.map(({ name, digest }) => [name, digest])),
    cached: packages.every(({ cached }) => cached),
  };
}

/** Returns the digests of the packages after `nx run-many -t pkg-build`. */
async function digestsByNx(
  workspace: TestWorkspace,
): Promise<{ readonly digests: Readonly<Record<string, string>>; readonly output: string }> {
  const output = await workspace.nx('run-many', '-t', 'pkg-build', '--output-style=static');
  const layouts = join(workspace.dir, '.nx/lkt');
  const names = readdirSync(layouts).filter((name) => !name.startsWith('.'));
  const digests = names.map((name) => {
    const text = readFileSync(join(layouts, name, 'index.json'), 'utf8');
    const { manifests } = JSON.parse(text) as { manifests: readonly { digest: string }[] };
    return [name.replaceAll('+', '/'), manifests.map(({ digest }) => digest).join()];
  });
  return { digests: Object.fromEntries(digests) as Record<string, string>, output };
}

test('Nx and lkt produce the same digests in either order, and share a store', async () => {
  await using first = await TestWorkspace.create(FILES, { lkt: LKT, platforms: PLATFORMS });
  await using second = await first.clone();
  const nxFirst = await digestsByNx(first);
  expect(Object.keys(nxFirst.digests).toSorted()).toEqual(DIRS.map((name) => `t/${name}`));
  expect(await digestsByLkt(first)).toEqual({ digests: nxFirst.digests, cached: true });

  const lktFirst = await digestsByLkt(second);
  expect(lktFirst).toEqual({ digests: nxFirst.digests, cached: false });
  const nxSecond = await digestsByNx(second);
  expect(nxSecond.digests).toEqual(nxFirst.digests);
  // Nx's cache is new, so it ran lkt, which found everything in the store.
  const counts = [...nxSecond.output.matchAll(/^cached: (\d+) package/gm)];
  const cached = counts.reduce((sum, [, count]) => sum + Number(count), 0);
  expect(cached).toBeGreaterThanOrEqual(DIRS.length);
  expect(nxSecond.output).not.toMatch(/COPY/);

  const names = [first, second].map((one) => one.lkt('cache', 'ls', '--json'));
  expect(await names[1]).toBe(await names[0]);
});
