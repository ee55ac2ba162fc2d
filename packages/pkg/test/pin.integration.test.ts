import { readFile } from 'node:fs/promises';
import { openStore } from '@lkt/oci';
import { expect, it } from 'vitest';
import type { BuildOptions } from '../src/build/build-options.ts';
import { type PinReport, pinWorkspace } from '../src/pins/pin-workspace.ts';
import { withPin, applyEdits } from '../src/pins/text-edit.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { checkout, commit, ENV, git, temporary, write } from '../../git/test/checkout.ts';
import { PlainEngine } from './plain-engine.ts';

const yml = (image: string): string => `org: lkt\nimage: ${image}\narches: [amd64]\n`;

const FILES = {
  'tools/base/build.yml': yml('base'),
  'tools/base/Dockerfile': 'FROM scratch\n',
  'tools/go/build.yml': yml('go'),
  'tools/go/Dockerfile':
    '# lkt/base here stays\r\nFROM docker.io/lkt/base:old AS x\r\nRUN echo lkt/base\r\n',
  'pkg/init/build.yml': yml('init'),
  'pkg/init/Dockerfile': `FROM lkt/go@sha256:${'0'.repeat(64)} AS build\nFROM scratch\nCOPY --from=build / /\nCOPY --from=lkt/base \\\n  / /\n`,
};

async function pin(
  path: string,
  options: Omit<BuildOptions, 'mirror' | 'reporter'>,
  ...names: string[]
): Promise<PinReport> {
  const workspace = await openWorkspace(path, { env: ENV });
  const targets =
    names.length > 0 ? names.map((name) => workspace.get(name)) : [...workspace.packages.values()];
  return pinWorkspace(workspace, targets, {
    ...options,
    mirror: () => Promise.reject(new Error('no mirror in this test')),
    reporter: { emit: () => undefined },
  });
}

it('writes tags and digests of package references in dependency order, and nothing else', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const options = { store: await openStore(dir.path), engine: new PlainEngine() };
  const { changes, references } = await pin(repo.path, options);
  const base = references.get('lkt/base') ?? '';
  const go = references.get('lkt/go') ?? '';
  expect(base).toMatch(/^lkt\/base:[0-9a-f]{40}@sha256:[0-9a-f]{64}$/);
  expect(await readFile(`${repo.path}/tools/go/Dockerfile`, 'utf8')).toBe(
    `# lkt/base here stays\r\nFROM docker.io/${base} AS x\r\nRUN echo lkt/base\r\n`,
  );
  expect(await readFile(`${repo.path}/pkg/init/Dockerfile`, 'utf8')).toBe(
    `FROM ${go} AS build\nFROM scratch\nCOPY --from=build / /\nCOPY --from=${base} \\\n  / /\n`,
  );
  expect(changes).toEqual([
    {
      file: 'tools/go/Dockerfile',
      line: 2,
      from: 'docker.io/lkt/base:old',
      to: `docker.io/${base}`,
    },
    { file: 'pkg/init/Dockerfile', line: 1, from: `lkt/go@sha256:${'0'.repeat(64)}`, to: go },
    { file: 'pkg/init/Dockerfile', line: 4, from: 'lkt/base', to: base },
  ]);
  // The tags are those of the new commit, so a second run changes nothing.
  commit(repo.path);
  expect(go).toContain(`:${git(repo.path, 'rev-parse', 'HEAD:tools/go')}@`);
  options.engine.built.length = 0;
  const again = await pin(repo.path, options);
  expect(again.changes).toEqual([]);
  expect(again.references).toEqual(references);
  expect(options.engine.built).toEqual([]);
});

it('propagates a change to all dependents', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const options = { store: await openStore(dir.path), engine: new PlainEngine() };
  const before = await pin(repo.path, options);
  await write(repo.path, { 'tools/base/new': 'x' });
  const { changes, references } = await pin(repo.path, options);
  expect(changes.map(({ file, line }) => `${file}:${line}`)).toEqual([
    'tools/go/Dockerfile:2',
    'pkg/init/Dockerfile:1',
    'pkg/init/Dockerfile:4',
  ]);
  for (const [name, reference] of references)
    expect(reference).not.toBe(before.references.get(name));
});

it('changes only the targets and their dependencies', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const options = { store: await openStore(dir.path), engine: new PlainEngine() };
  const { changes } = await pin(repo.path, options, 'lkt/go');
  expect(changes.map(({ file }) => file)).toEqual(['tools/go/Dockerfile']);
  expect(await readFile(`${repo.path}/pkg/init/Dockerfile`, 'utf8')).toBe(
    FILES['pkg/init/Dockerfile'],
  );
});

it('converges when a package lies inside an unrelated one', async () => {
  await using repo = await checkout({
    ...FILES,
    'kernel/build.yml': yml('kernel'),
    'kernel/Dockerfile': 'FROM scratch\n',
    'kernel/debian/build.yml': yml('kernel-debian'),
    'kernel/debian/Dockerfile': 'FROM lkt/base\n',
    'pkg/modules/build.yml': yml('modules'),
    'pkg/modules/Dockerfile': 'FROM lkt/kernel\n',
  });
  await using dir = await temporary();
  const options = { store: await openStore(dir.path), engine: new PlainEngine() };
  const { references } = await pin(repo.path, options);
  commit(repo.path);
  expect(references.get('lkt/kernel')).toContain(git(repo.path, 'rev-parse', 'HEAD:kernel'));
  expect(await readFile(`${repo.path}/pkg/modules/Dockerfile`, 'utf8')).toBe(
    `FROM ${references.get('lkt/kernel')}\n`,
  );
});

it('reports a package that contains its own dependency and never converges', async () => {
  await using repo = await checkout({
    'kernel/build.yml': yml('kernel'),
    'kernel/Dockerfile': 'FROM scratch\n',
    'kernel/debian/build.yml': yml('kernel-debian'),
    'kernel/debian/Dockerfile': 'FROM lkt/kernel\n',
  });
  await using dir = await temporary();
  const options = { store: await openStore(dir.path), engine: new PlainEngine() };
  await expect(pin(repo.path, options)).rejects.toMatchObject({
    message: 'the pins do not converge',
  });
});

it('rejects a reference of variables, and a workspace outside git', async () => {
  await using repo = await checkout({
    ...FILES,
    'tools/go/Dockerfile': 'ARG V\nFROM lkt/base:${V:-1}\n',
  });
  await using dir = await temporary();
  const options = { store: await openStore(dir.path), engine: new PlainEngine() };
  await expect(pin(repo.path, options)).rejects.toMatchObject({
    code: 'PIN_MISSING',
    message: 'tools/go/Dockerfile:2:6: cannot pin lkt/base:${V:-1}: it contains variables',
    fix: expect.stringMatching(/^write it without variables: lkt\/base:[0-9a-f]{40}@sha256:/),
  });
  await using plain = await temporary();
  await write(plain.path, FILES);
  await expect(pin(plain.path, options)).rejects.toMatchObject({
    code: 'GIT_FAILED',
    fix: 'put the workspace under git: git init',
  });
});

it.each([
  ['lkt/x', 'lkt/x:h@sha256:d'],
  ['lkt/x:old', 'lkt/x:h@sha256:d'],
  ['lkt/x@sha256:e', 'lkt/x:h@sha256:d'],
  ['docker.io/lkt/x:old@sha256:e', 'docker.io/lkt/x:h@sha256:d'],
  ['localhost:5000/lkt/x', 'localhost:5000/lkt/x:h@sha256:d'],
])('pins %s', (written, expected) => {
  expect(withPin(written, 'localhost:5000/lkt/x:h@sha256:d')).toBe(expected);
});

it('applies edits in any order', () => {
  expect(
    applyEdits('ab cd ef', [
      { offset: 6, length: 2, replacement: 'EEE' },
      { offset: 0, length: 2, replacement: '' },
    ]),
  ).toBe(' cd EEE');
});
