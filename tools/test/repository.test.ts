import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fuzzedPackages } from './fuzz/go-targets.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The layers, lowest first: a package imports only from those before it (docs/architecture.md). */
const LAYERS = [
  'core',
  'testing',
  'oci',
  'formats',
  'http',
  'registry',
  'server',
  'attest',
  'sign',
  'debian',
  'vulns',
  'dockerfile',
  'git',
  'builder',
  'buildkit',
  'rebuild',
  'audit',
  'pkg',
  'image',
  'inspect',
  'machine',
  'fleet',
  'cli',
  'nx-plugin',
];

const manifests = new Map(
  LAYERS.map((layer) => [layer, JSON.parse(read(`packages/${layer}/package.json`)) as Manifest]),
);

test('lists every package in LAYERS', () => {
  const found = globSync('packages/*/package.json', { cwd: root }).map(
    (path) => path.split('/')[1] ?? '',
  );
  expect(found.toSorted()).toEqual(LAYERS.toSorted());
});

test.each([
  ['tools/boot', 'packages/image/src/config/boot-loader.ts'],
  ['tools/test-agent', 'packages/cli/src/machines/test-agent.ts'],
])('pins %s, which lkt adds to images', (dir, file) => {
  const done = spawnSync(join(root, 'lkt'), ['pkg', 'show-tag', dir], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(read(file)).toContain(`'${done.stdout.trim()}@sha256:`);
});

describe.each(LAYERS)('%s', (layer) => {
  const below = LAYERS.slice(0, LAYERS.indexOf(layer));
  const manifest = manifests.get(layer);
  const workspaceDependencies = inWorkspace(manifest?.dependencies);
  const forTests = inWorkspace(manifest?.devDependencies);

  test('depends on lower layers only', () => {
    expect(workspaceDependencies.filter((name) => !below.includes(name))).toEqual([]);
    if (layer === 'machine') expect(workspaceDependencies).toEqual(['core']);
    expect(workspaceDependencies).not.toContain('testing');
    expect(forTests.filter((name) => !below.includes(name))).toEqual([]);
  });

  test('imports only packages of its package.json, by their entry points', () => {
    const allowed = new Set([
      ...Object.keys(manifest?.dependencies ?? {}),
      ...Object.keys(manifest?.devDependencies ?? {}),
    ]);
    for (const path of globSync(`packages/${layer}/src/**/*.ts`, { cwd: root })) {
      for (const name of importsOf(read(path))) {
        if (name.startsWith('node:')) continue;
        if (name.startsWith('.')) {
          expect(join(dirname(path), name), path).toMatch(new RegExp(`^packages/${layer}/`));
        } else {
          const parts = name.split('/');
          const packageName = name.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
          expect(allowed, `${path} imports ${name}`).toContain(packageName);
        }
      }
    }
  });

  test('references its workspace dependencies in its tsconfig', () => {
    const config = JSON.parse(read(`packages/${layer}/tsconfig.json`)) as {
      readonly references?: readonly { readonly path: string }[];
    };
    const references = (config.references ?? [])
      .map(({ path }) => path.replace(/^\.\.\//, ''))
      .filter((name) => name !== '../tools');
    expect(references.toSorted()).toEqual([...workspaceDependencies, ...forTests].toSorted());
  });

  test('describes itself in a README', () => {
    expect(existsSync(join(root, `packages/${layer}/README.md`))).toBe(true);
  });
});

function inWorkspace(dependencies: Readonly<Record<string, string>> = {}): string[] {
  return Object.keys(dependencies)
    .filter((name) => name.startsWith('@lkt/'))
    .map((name) => name.slice('@lkt/'.length));
}

function importsOf(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\s(?:[^;'`]*\sfrom\s)?'([^']+)'/gm);
  const calls = source.matchAll(/\bimport\('([^']+)'\)/g);
  return [...statements, ...calls].map(([, name]) => name ?? '');
}

test('names no registry in the lock file', () => {
  expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
});

test('pins dependencies exactly', () => {
  const top = JSON.parse(read('package.json')) as Manifest;
  for (const manifest of [top, ...manifests.values()]) {
    for (const [name, version] of Object.entries({
      ...manifest.dependencies,
      ...manifest.devDependencies,
    })) {
      expect(version, `${manifest.name}: ${name}`).toMatch(/^\d+\.\d+\.\d+/);
    }
  }
});

test('justifies every dependency in docs/decisions', () => {
  const text = globSync('docs/decisions/*.md', { cwd: root }).map(read).join('\n');
  const names = [...manifests.values()].flatMap(({ dependencies }) =>
    Object.keys(dependencies ?? {}),
  );
  for (const name of new Set(names)) {
    if (!name.startsWith('@lkt/')) expect(text, name).toContain(`\`${name}\``);
  }
});

test('has no broken link between documents', () => {
  for (const path of globSync(
    ['*.md', 'docs/**/*.md', '{packages,pkg,tools,kernel,projects}/**/README.md'],
    { cwd: root },
  )) {
    if (path.includes('node_modules')) continue;
    for (const [, target = ''] of read(path).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      expect(existsSync(join(root, dirname(path), target)), `${path} links to ${target}`).toBe(
        true,
      );
    }
  }
});

test('lists the fuzz tests of the guest in pkg/README.md', () => {
  const text = read('pkg/README.md').replaceAll(/\n {2}/g, ' ');
  const items = text.match(/^- .*`Fuzz.*/gm) ?? [];
  // Directories, and the targets of all those before: `a`, `b` `FuzzX`, `FuzzY`.
  const listed = items.flatMap((item) =>
    [...item.matchAll(/((?:`pkg\/\S+`,? )+)((?:`Fuzz\w+`[,:]? ?)+)/g)].flatMap(
      ([, directories = '', targets = '']) =>
        wordsOf(directories).flatMap((at) => wordsOf(targets).map((target) => `${at} ${target}`)),
    ),
  );
  const found = fuzzedPackages().flatMap(({ directory, targets }) =>
    targets.map((target) => `${directory} ${target}`),
  );
  expect(listed.toSorted()).toEqual(found.filter((name) => name.startsWith('pkg/')).toSorted());
});

/** Returns the words of a text that are code. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
}

test('uses cache mounts for objects of kernels alone, and as source of no release', () => {
  const caches = globSync('{pkg,tools,kernel,projects}/**/Dockerfile*', { cwd: root }).flatMap(
    (path) => [...read(path).matchAll(/type=cache\S*/g)].map(([flag]) => [path, flag]),
  );
  const objects = 'type=cache,id=lkt-linux-objects,target=/ccache';
  expect(Object.fromEntries(caches)).toEqual({
    'kernel/linux/Dockerfile': objects,
    'kernel/flavours/debug/Dockerfile': objects,
    'kernel/flavours/ipe/Dockerfile': objects,
    'kernel/flavours/dev/Dockerfile': 'type=cache,id=lkt-linux-dev,target=/cache,sharing=locked',
  });
  for (const path of globSync('{pkg,tools,kernel,examples}/**/{Dockerfile*,*.yml}', { cwd: root }))
    if (!path.startsWith('kernel/flavours/'))
      expect(read(path), path).not.toMatch(/lkt\/linux-dev|kernel\/flavours/);
});

test('loads no heavy library for help', () => {
  const hook = `import { registerHooks } from 'node:module';
registerHooks({ resolve(specifier, context, next) {
  const found = next(specifier, context);
  if (/node_modules\\/(undici|@sigstore|@noble|koffi|tar|pako|xz-decompress)\\//.test(found.url)) throw new Error('loads ' + specifier);
  return found;
} });`;
  const done = spawnSync(
    join(root, 'node_modules/.bin/node'),
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(hook)}`,
      join(root, 'packages/cli/src/main.ts'),
      '--help',
    ],
    { encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: '/nonexistent', NO_COLOR: '1' } },
  );
  expect(done.stderr).toBe('');
  expect(done.stdout).toContain('build');
  expect(done.status).toBe(0);
});
