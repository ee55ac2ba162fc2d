import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { recordPackages } from '../src/action-cache/record-packages.ts';
import { buildPackages } from '../src/build/build.ts';
import { write } from '../../git/test/checkout.ts';
import { bench, type Bench } from './bench.ts';

const FILES = {
  'pkg/a/build.yml': 'org: lkt\nimage: a\n',
  'pkg/a/Dockerfile': 'FROM scratch\nCOPY . /\n',
  // The key of its build covers only what build.yml means.
  'pkg/a/.dockerignore': 'build.yml\n',
  'pkg/b/build.yml': 'org: lkt\nimage: b\n',
  'pkg/b/Dockerfile': 'FROM scratch\nCOPY . /\n',
};

async function built(isInGit: boolean) {
  const at = await bench(FILES);
  if (!isInGit) rmSync(join(at.path, '.git'), { recursive: true });
  const [first] = await at.build('lkt/b');
  if (first === undefined) throw new Error('nothing was built');
  return { at, pin: `lkt/b@${first.index.digest}` };
}

/** Builds lkt/a as for `lkt pkg build pkg/a`, and returns the directories of recorded packages. */
async function record(at: Bench, edit: () => unknown) {
  const { options, path } = at;
  const workspace = await at.open();
  const dir = join(path, 'pkg/a');
  const item = await workspace.packageAt(dir);
  await edit();
  const { packages, inputs } = await buildPackages(workspace, [item], {
    ...options,
    // Others are parsed only if a package names them.
    unchanged: new Map(),
  });
  const results = new Map(packages.map((one) => [one.item.dir, one.index.digest]));
  const action = await recordPackages(inputs, results, undefined, [dir]);
  return { packages, recorded: Object.keys(action?.parts ?? {}) };
}

it.each([false, true])(
  'does not record a package whose build.yml changes after it was parsed, in git: %s',
  async (isInGit) => {
    const { at } = await built(isInGit);
    await using _ = at;
    await at.build('lkt/a');
    expect((await record(at, () => undefined)).recorded).toHaveLength(1);
    const text = `${FILES['pkg/a/build.yml']}config: {pid: host}\n`;
    const { packages, recorded } = await record(at, () =>
      write(at.path, { 'pkg/a/build.yml': text }),
    );
    expect(packages[0]?.cached).toBe(true);
    expect(recorded).toEqual([]);
    const [fresh] = await at.build('lkt/a');
    expect(fresh?.index.digest).not.toBe(packages[0]?.index.digest);
    expect((await record(at, () => undefined)).recorded).toHaveLength(1);
  },
);

it.each([false, true])(
  'reads a Dockerfile again that changes before its package is hashed, in git: %s',
  async (isInGit) => {
    const { at, pin } = await built(isInGit);
    await using _ = at;
    let edits = 0;
    // Asked for when the Dockerfile has been read.
    at.engine.buildPlatform = (platform) => {
      if (edits++ === 0)
        writeFileSync(join(at.path, 'pkg/a/Dockerfile'), `FROM ${pin}\nCOPY . /\n`);
      return platform;
    };
    const { packages } = await record(at, () => undefined);
    expect(edits).toBeGreaterThan(1);
    expect(packages.map(({ item }) => item.name)).toEqual(['lkt/b', 'lkt/a']);
    const [, fresh] = await at.build('lkt/a');
    expect(fresh).toMatchObject({ cached: true, index: packages[1]?.index });
  },
);
