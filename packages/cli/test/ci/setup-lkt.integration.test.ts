import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** Runs the steps of the action `setup-lkt` as a runner does. */
const root = join(import.meta.dirname, '../../../..');
const script = join(root, 'tools/ci/setup-lkt/setup.sh');

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly path: string;
  readonly variables: string;
  readonly outputs: string;
}

function setup(cwd: string, files: string, env: Readonly<Record<string, string>> = {}): Result {
  const at = (name: string): string => join(files, name);
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  for (const name of ['path', 'env', 'output']) writeFileSync(at(name), '');
  const { status, stdout, stderr } = spawnSync('bash', [script], {
    cwd,
    encoding: 'utf8',
    env: {
      ...process.env,
      GITHUB_ACTIONS: '',
      GITHUB_PATH: at('path'),
      GITHUB_ENV: at('env'),
      GITHUB_OUTPUT: at('output'),
      ...env,
    },
  });
  return {
    code: status,
    stdout,
    stderr,
    path: read('path'),
    variables: read('env'),
    outputs: read('output'),
  };
}

/** Writes a repository that installs a program named lkt, as it would install @lkt/cli. */
function writeRepository(dir: string, name: string): void {
  const version = '1.2.3';
  const at = `node_modules/@lkt/${name}`;
  mkdirSync(join(dir, name), { recursive: true });
  const files: Readonly<Record<string, unknown>> = {
    'package.json': { name: 'my-os', devDependencies: { [`@lkt/${name}`]: `file:${name}` } },
    'package-lock.json': {
      name: 'my-os',
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': { name: 'my-os', devDependencies: { [`@lkt/${name}`]: `file:${name}` } },
        [name]: { name: `@lkt/${name}`, version, dev: true, bin: { [name]: 'main.sh' } },
        [at]: { resolved: name, link: true },
      },
    },
    [`${name}/package.json`]: { name: `@lkt/${name}`, version, bin: { [name]: 'main.sh' } },
  };
  for (const [path, value] of Object.entries(files))
    writeFileSync(join(dir, path), JSON.stringify(value));
  const program = '#!/bin/sh\n[ "$*" = "version --short" ] && echo 1.2.3\n';
  writeFileSync(join(dir, name, 'main.sh'), program, { mode: 0o755 });
}

test('sets up a checkout of lkt', async () => {
  await using files = await mkdtempDisposable(join(tmpdir(), 'setup-'));
  const mirror = 'http://mirror.example/debian';
  const result = setup(root, files.path, { MIRROR: mirror });
  expect(result).toMatchObject({ code: 0, path: `${root}\n`, outputs: 'version=0.0.0\n' });
  expect(result.stdout).toBe('lkt 0.0.0\n');
  expect(result.variables).toBe(`LKT_DEBIAN_MIRROR=${mirror}\n`);
});

test('installs the lkt of package-lock.json, and nothing else under this name', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'setup-'));
  const own = join(dir.path, 'own');
  writeRepository(own, 'lkt');
  const installed = setup(own, dir.path);
  expect(installed).toMatchObject({
    code: 0,
    path: `${own}/node_modules/.bin\n`,
    variables: '',
    outputs: 'version=1.2.3\n',
  });
  const other = join(dir.path, 'other');
  writeRepository(other, 'unrelated');
  const refused = setup(other, dir.path);
  expect(refused).toMatchObject({ code: 1, path: '', outputs: '' });
  expect(refused.stderr).toContain('error: package-lock.json does not contain @lkt/cli\n  fix: ');
});

test('rejects a directory without package-lock.json, and a mirror of two lines', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'setup-'));
  const nothing = setup(dir.path, dir.path);
  expect(nothing).toMatchObject({ code: 1, path: '' });
  expect(nothing.stderr).toMatch(
    /^error: there is no package-lock\.json in .*\n {2}fix: npm install/m,
  );
  const annotated = setup(dir.path, dir.path, { GITHUB_ACTIONS: 'true' });
  expect(annotated.stderr).toMatch(/^::error::there is no package-lock\.json in .*\n {2}fix: npm/m);
  const injected = setup(root, dir.path, { MIRROR: 'http://a.example\nNODE_OPTIONS=--import=x' });
  expect(injected).toMatchObject({ code: 1, variables: '' });
  expect(injected.stderr).toContain('error: LKT_DEBIAN_MIRROR has a line break');
});
