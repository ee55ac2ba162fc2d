import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readManifest } from '../../../tools/build/manifest.ts';
import { parseArchive, runArchive } from '../../../tools/testscript.ts';

const root = join(import.meta.dirname, '../../..');
const checkout = mkdtempSync(join(tmpdir(), 'lkt-checkout-'));
const dist = join(checkout, 'dist');
/** A build, restored before each test. */
const fresh = `${checkout}-dist`;
const source = join(checkout, 'packages/cli/src/commands/version.ts');

/** Copies the checkout, without `dist/`. */
beforeAll(() => {
  for (const path of ['lkt', 'LICENSE', 'package.json', 'packages', 'tools', 'node_modules/@lkt'])
    cpSync(join(root, path), join(checkout, path), { recursive: true, verbatimSymlinks: true });
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (['@lkt', '.cache', '.lockfile-installed'].includes(name)) continue;
    symlinkSync(join(root, 'node_modules', name), join(checkout, 'node_modules', name));
  }
  for (const name of ['package-lock.json', 'node_modules/.lockfile-installed'])
    cpSync(join(root, 'package-lock.json'), join(checkout, name));
  expect(run('tools/setup')).toMatchObject({ status: 0, stderr: '' });
  cpSync(dist, fresh, { recursive: true });
});

beforeEach(() => {
  rmSync(dist, { recursive: true, force: true });
  cpSync(fresh, dist, { recursive: true });
});

afterAll(() => {
  for (const path of [checkout, fresh]) rmSync(path, { recursive: true });
});

interface Done {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (program: string, ...words: readonly string[]): Done => runWith({}, program, ...words);

function runWith(
  env: Readonly<Record<string, string>>,
  program: string,
  ...words: readonly string[]
): Done {
  const done = spawnSync(join(checkout, program), words, {
    cwd: join(root, 'pkg'),
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      LKT_CACHE: join(checkout, 'store'),
      LKT_STORE_KEY: 'c'.repeat(64),
      NO_COLOR: '1',
      ...env,
    },
  });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

const build = (): object => run('node_modules/.bin/node', join(checkout, 'tools/build/main.ts'));
const id = (): string => readManifest(checkout).id;
const main = (): string => join(dist, id(), 'main.cjs');
const knownSource = (): unknown =>
  readManifest(checkout).inputs['packages/cli/src/commands/version.ts'];

/** Makes the build print that it runs. */
const FROM_DIST = { status: 0, stdout: 'from dist', stderr: '' };
const mark = (): void =>
  writeFileSync(main(), "process.stdout.write('from dist'); exports.done = Promise.resolve();");
const FROM_SOURCES = { status: 0, stdout: 'lkt version 0.0.0\n', stderr: '' };

test.each([
  '',
  '--help',
  '--version',
  'pkg',
  'pkg build --help',
  'help run',
  'rum',
  'version --json',
  'version 1',
  'completion zsh',
  'run x --mem y --json',
  'build nothing.yml',
  'build --o a.tar --dir b x.yml',
  'pkg show-tag sshd',
  'pkg build --builder tcp ../tools/debian',
  'cache ls',
  'env --nonsense',
])('lkt %s prints the same from dist and from the sources', (line) => {
  const words = line.split(' ').filter((word) => word !== '');
  const fromDist = run('lkt', ...words);
  rmSync(dist, { recursive: true });
  expect(fromDist).toEqual(run('lkt', ...words));
});

describe('lkt', () => {
  beforeEach(mark);

  test('runs dist while the sources are unchanged', () => {
    expect(run('lkt', 'version')).toEqual(FROM_DIST);
  });

  const text = readFileSync(join(root, 'packages/cli/src/commands/version.ts'), 'utf8');
  const edited = text.replace('} version $', '} VERSION $');

  test.each<[string, () => void]>([
    ['edited', () => writeFileSync(source, edited)],
    [
      'edited with its time put back',
      () => {
        const { atime, mtime } = statSync(source);
        writeFileSync(source, edited);
        utimesSync(source, atime, mtime);
      },
    ],
    [
      'replaced by an older file',
      () => {
        writeFileSync(`${source}.new`, edited);
        utimesSync(`${source}.new`, 0, 0);
        renameSync(`${source}.new`, source);
      },
    ],
  ])('runs the sources once one is %s, and dist when it is as before', (_, change) => {
    change();
    expect(run('lkt', 'version')).toEqual({ ...FROM_SOURCES, stdout: 'lkt VERSION 0.0.0\n' });
    writeFileSync(source, text);
    expect(run('lkt', 'version')).toEqual(FROM_DIST);
  });

  test('reads a file that was written anew with the same contents only once', async () => {
    const before = knownSource();
    writeFileSync(source, text);
    // Not at once: until the clock of the file system advances, a change may leave no trace.
    await expect.poll(() => (run('lkt', 'version'), knownSource())).not.toEqual(before);
    const { ino, size, ctimeMs } = statSync(source);
    expect(knownSource()).toEqual([ino, size, ctimeMs, expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(run('lkt', 'version')).toEqual(FROM_DIST);
    expect(readdirSync(dist)).toEqual(readdirSync(fresh));
  });

  test('runs the sources after a source is deleted', () => {
    const path = join(checkout, 'packages/machine/src/index.ts');
    renameSync(path, `${path}.gone`);
    expect(run('lkt', 'version')).toEqual(FROM_SOURCES);
    renameSync(`${path}.gone`, path);
  });

  test('runs the sources if installed packages differ from those of the build', () => {
    const files = ['package-lock.json', 'node_modules/.lockfile-installed'];
    for (const name of files) appendFileSync(join(checkout, name), '\n');
    expect(run('lkt', 'version')).toEqual(FROM_SOURCES);
    for (const name of files) cpSync(join(root, 'package-lock.json'), join(checkout, name));
  });

  test('runs the sources if Node differs from that of the build', () => {
    const manifest = join(dist, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(process.version, 'v1.0.0'));
    expect(run('lkt', 'version')).toEqual(FROM_SOURCES);
  });

  const manifest = join(dist, 'manifest.json');
  test.each<[string, () => void]>([
    ['dist/ is missing', () => rmSync(dist, { recursive: true })],
    ['the build is missing', () => rmSync(join(dist, id()), { recursive: true })],
    ['main.cjs is cut short', () => writeFileSync(main(), 'let {')],
    ['the manifest is missing', () => rmSync(manifest)],
    ['the manifest is empty', () => writeFileSync(manifest, '')],
    ['the manifest is damaged', () => appendFileSync(manifest, '}')],
    ['the manifest is a directory', () => (rmSync(manifest), mkdirSync(manifest))],
  ])('runs the sources if %s', (_, spoil) => {
    spoil();
    expect(run('lkt', 'version')).toEqual(FROM_SOURCES);
  });
});

const program = (name: string): string => readFileSync(join(dist, id(), name), 'utf8');

test('loads only what the programs of a build need to start', () => {
  expect(program('init.cjs')).not.toMatch(/require\("(\.\/|koffi|node:crypto)|undici/);
  // Everything else is imported after an init has started.
  expect(program('worker.cjs')).not.toMatch(
    /^\S.*require\("(\.\/(?!worker-(rolldown-runtime|_koffi)\.)|koffi|node:(crypto|zlib))|undici/m,
  );
  // The build has computed the system call filter.
  const chunks = readdirSync(join(dist, id())).filter((name) => name.startsWith('worker'));
  expect(chunks.map(program).join('\n')).toMatch(
    /const filterText = \{\s*"x64": "\w[^}]*"arm64": "\w/,
  );
});

test('prints the version without loading cryptography', () => {
  const hook = `import { registerHooks } from 'node:module';
registerHooks({ resolve(specifier, context, next) {
  if (/^(node:)?crypto$/.test(specifier)) throw new Error('loads ' + specifier);
  return next(specifier, context);
} });`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`;
  expect(runWith({ NODE_OPTIONS }, 'lkt', '--version')).toEqual({
    status: 0,
    stdout: 'lkt version 0.0.0\n',
    stderr: '',
  });
});

test("loads all code from Node's compile cache on the second run", () => {
  const debug = {
    NODE_COMPILE_CACHE: join(checkout, 'compiled'),
    NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
  };
  const codeOf = (): readonly string[] => {
    const { stderr } = runWith(debug, 'lkt', 'env', '--json');
    return [...stderr.matchAll(/V8 code cache for CommonJS .*\/dist\/(\S+) was (\w+)/g)].map(
      ([, file, state]) => `${file} ${state}`,
    );
  };
  const first = codeOf();
  expect(first).toContain('lkt.cjs not');
  expect(first).toContain(`${id()}/main.cjs not`);
  expect(codeOf()).toEqual(first.map((line) => line.replace(/ not$/, ' accepted')));
});

test.each(['pkg/dockerfile-errors', 'pkg/build', 'pkg/check', 'image/attestations'])(
  '%s.txtar passes from dist',
  async (name) =>
    runScript(readFileSync(join(import.meta.dirname, `script/${name}.txtar`), 'utf8')),
);

/** Runs an archive in a directory of its own, with the build as `lkt`. */
async function runScript(text: string): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-script-'));
  await runArchive(parseArchive(text), {
    dir: dir.path,
    commands: { lkt: [join(checkout, 'lkt')] },
    env: {
      PATH: process.env['PATH'] ?? '',
      NO_COLOR: '1',
      LC_ALL: 'C.UTF-8',
      NODE: process.execPath,
      LKT_CACHE: join(dir.path, '.store'),
      LKT_STORE_KEY: 'c'.repeat(64),
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_NAME: 'A',
      GIT_AUTHOR_EMAIL: 'a@example.com',
      GIT_COMMITTER_NAME: 'A',
      GIT_COMMITTER_EMAIL: 'a@example.com',
    },
  });
}

const PACKAGE = `
exec git init --quiet
# Older than the index, so that git trusts their times.
exec touch -d 2001-01-01 pkg/a/build.yml pkg/a/Dockerfile
exec git add pkg
exec git commit --quiet --message one
lkt pkg build pkg/a
`;
const FILES = `
-- pkg/a/build.yml --
org: example
image: a
arches: [amd64]
-- pkg/a/Dockerfile --
FROM scratch
COPY build.yml /
-- pkg/link/.keep --
`;

/** Edits the entries of one kind, and seals them with a key. */
const EDIT = `
-- edit.mjs --
import { createHmac } from 'node:crypto';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
const [kind, key] = process.argv.slice(2);
for (const name of globSync('results/*' + kind, { cwd: '.store' })) {
  const content = readFileSync('.store/' + name, 'utf8');
  const text = content.replace(/ hmac-sha256:.*$/, '').replaceAll('example/a', 'example/cached');
  const mac = createHmac('sha256', key).update(['lkt sealed file 1', name, text].join('\\0'));
  writeFileSync('.store/' + name, text + ' hmac-sha256:' + mac.digest('hex'));
}
`;

describe('the action cache', () => {
  test.each([
    ['pkg build pkg/a', 'packages', 'in git'],
    ['graph', 'graph', 'in git'],
    ['pkg build pkg/a', 'packages', 'outside'],
    ['graph', 'graph', 'outside'],
  ])('holds the result of lkt %s (%s, %s)', async (command, kind, place) => {
    await runScript(`${place === 'outside' ? 'lkt pkg build pkg/a' : PACKAGE}
lkt ${command}
exec $NODE edit.mjs .${kind} $LKT_STORE_KEY
# The result comes from the entry while nothing changes.
lkt ${command}
stdout example/cached
exec $NODE edit.mjs .${kind} another-key
lkt ${command}
! stdout example/cached
exec $NODE edit.mjs .${kind} $LKT_STORE_KEY
lkt ${command}
stdout example/cached
replace pkg/a/Dockerfile scratch 'scratch AS stage'
lkt ${command}
! stdout example/cached
${FILES}${EDIT}`);
  });

  test('stores no build that printed a warning', async () => {
    await runScript(`${PACKAGE}
lkt pkg build --build-arg NONE=1 pkg/a
stderr warning: .*NONE
lkt pkg build --build-arg NONE=1 pkg/a
stderr warning: .*NONE
exec sh -c '! ls .store/results/*.packages'
${FILES}`);
  });

  test('stores no build that names a package by a symlink', async () => {
    await runScript(`${PACKAGE}
exec ln -s ../a pkg/link/a
lkt pkg build pkg/link/a
exec sh -c '! ls .store/results/*.packages'
${FILES}`);
  });
});

test('Nx loads its plugin from dist while the sources are unchanged', () => {
  const path = join(dist, 'nx-plugin/index.js');
  writeFileSync(path, "exports.name = 'from dist';");
  const script = 'import(process.argv[1]).then(({ name }) => console.log(name))';
  const words = ['-e', script, join(checkout, 'tools/nx/lkt.ts')];
  expect(run('node_modules/.bin/node', ...words).stdout).toBe('from dist\n');
  appendFileSync(source, '\n');
  expect(run('node_modules/.bin/node', ...words).stdout).toBe('@lkt/nx-plugin\n');
  cpSync(join(root, 'packages/cli/src/commands/version.ts'), source);
});

describe('npm run build', () => {
  test('repairs a damaged build, under the same id', () => {
    const before = id();
    rmSync(main());
    expect(build()).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(id()).toBe(before);
    expect(existsSync(main())).toBe(true);
  });

  test('leaves every file in its place while it writes the same build again', async () => {
    const names = readdirSync(join(dist, id()));
    const child = spawn(process.execPath, [join(checkout, 'tools/build/main.ts')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'close');
    const missing = new Set<string>();
    while (child.exitCode === null) {
      for (const name of names) if (!existsSync(join(dist, id(), name))) missing.add(name);
      await setImmediate();
    }
    expect(await ended).toEqual([0, null]);
    expect([...missing]).toEqual([]);
  });

  test('keeps the builds of the last day, from which a running lkt may still load', () => {
    const text = readFileSync(source, 'utf8');
    const ids = [id()];
    const kept = (): readonly string[] => readdirSync(dist).filter((name) => ids.includes(name));
    for (const line of ['// one\n', '// two\n', '// three\n']) {
      appendFileSync(source, line);
      expect(build()).toMatchObject({ status: 0, stderr: '' });
      ids.push(id());
    }
    expect(kept().toSorted()).toEqual(ids.toSorted());
    const [first = '', second = '', ...others] = ids;
    const old = Date.now() / 1000 - 25 * 60 * 60;
    for (const name of [first, second]) utimesSync(join(dist, name), old, old);
    appendFileSync(source, '// four\n');
    expect(build()).toMatchObject({ status: 0, stderr: '' });
    expect(kept().toSorted()).toEqual(others.toSorted());
    writeFileSync(source, text);
  });

  test('makes the build readable for every user who can read the checkout', () => {
    expect(statSync(join(dist, id())).mode & 0o777).toBe(0o777 & ~process.umask());
  });

  test('fails if a source changes meanwhile, and leaves dist unchanged', async () => {
    const before = readFileSync(join(dist, 'manifest.json'), 'utf8');
    const child = spawn(process.execPath, [join(checkout, 'tools/build/main.ts')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // Changes the ctime, but not the contents.
    const timer = setInterval(() => utimesSync(source, 0, 0), 20);
    let said = '';
    child.stderr.on('data', (chunk) => (said += String(chunk)));
    const [code] = (await once(child, 'close')) as [number];
    clearInterval(timer);
    expect(code).toBe(1);
    expect(said).toContain('packages/cli/src/commands/version.ts was changed during the build');
    expect(readFileSync(join(dist, 'manifest.json'), 'utf8')).toBe(before);
    expect(readdirSync(dist).filter((name) => name.startsWith('new-'))).toEqual([]);
  });
});
