import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LIBRARIES } from '../../release/libraries.ts';
import { serveImages, serveRegistry } from './first-minute.ts';
import { GuideReader } from './guide-reader.ts';
import { PublishedRelease } from './published-release.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 900_000 });

const VERSION = '1.2.3-test.4';
/** A Node that lkt itself does not run on. */
const OLD_NODE = '18.20.8';

const root = join(import.meta.dirname, '../../..');
const work = mkdtempSync(join(tmpdir(), 'lkt-install-'));
const at = (path: string): string => join(work, path);
const modules = join(root, 'node_modules');

const home = at('home');

let release: PublishedRelease;
/** The output of the first release. */
let listed = '';
const run = (cwd: string, program: string, ...words: readonly string[]): string =>
  release.registry.run(release.user, cwd, program, ...words);

const install = (...words: readonly string[]): string =>
  run(home, 'npm', 'install', '--no-audit', '--no-fund', ...words);

/** The command, installed for the user alone. */
const lkt = join(home, '.local/bin/lkt');

beforeAll(async () => {
  release = await PublishedRelease.prepare(work, VERSION);
  listed = release.release();
});

afterAll(async () => {
  await release[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

test('a repeated release gives the same bytes, and publishes nothing again', () => {
  const again = release.release().split('\n');
  const ids = listed.split('\n').flatMap((line) => /^(@lkt\/[\w-]+@\S+) {2}/.exec(line)?.[1] ?? []);
  expect(ids).toContain(`@lkt/cli@${VERSION}`);
  const files = listed.split('\n').filter((line) => /^(@| {2})/.test(line));
  expect(again).toEqual([...files, ...ids.map((id) => `${id} is published already`), '']);
});

test('npm installs lkt and the Node of this machine, and nothing else', () => {
  install('--global', '@lkt/cli@next');
  expect(run(home, lkt, '--version')).toBe(`lkt version ${VERSION}\n`);
  expect(readdirSync(join(home, '.local/lib/node_modules'))).toEqual(['@lkt']);
  const own = join(home, '.local/lib/node_modules/@lkt/cli/node_modules');
  expect(readdirSync(own).filter((name) => !name.startsWith('.'))).toEqual([
    '@koromix',
    `node-linux-${process.arch}`,
  ]);
  expect(readdirSync(join(own, '@koromix'))).toEqual([`koffi-linux-${process.arch}`]);
  const packageJson = readFileSync(join(own, '../package.json'), 'utf8');
  // npm's provenance compares it with the repository of the CI run.
  expect(JSON.parse(packageJson)).toMatchObject({
    version: VERSION,
    repository: { type: 'git', url: 'git+https://git.example/acme/lkt.git' },
  });
  const licences = readFileSync(join(own, '../LICENSES.txt'), 'utf8');
  for (const name of ['@oclif/core', '@sigstore/verify', 'undici', 'yaml'])
    expect(licences).toMatch(new RegExp(`^${name}@\\S+ {2}(MIT|ISC|Apache-2.0)$`, 'm'));
  // Its Node is not the system's.
  const { node } = JSON.parse(run(home, lkt, 'version', '--json')) as { node: string };
  expect(node).toBe(process.version);
});

/** Makes a repository with the package `acme/hello`, and commits all files in it. */
function commitHello(project: string): void {
  write(join(project, 'pkg/hello/build.yml'), 'org: acme\nimage: hello\n');
  write(join(project, 'pkg/hello/Dockerfile'), 'FROM scratch\nCOPY build.yml /hello\n');
  const git = (...words: readonly string[]): string =>
    run(project, 'git', '-c', 'user.name=A', '-c', 'user.email=a@example.com', ...words);
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'one');
}

test('the installed lkt builds a package and an image', () => {
  const project = at('project');
  write(join(project, 'images/os.yml'), 'init:\n  - "@pkg:../pkg/hello"\n');
  commitHello(project);
  const tag = run(project, lkt, 'pkg', 'show-tag', 'pkg/hello').trim();
  expect(tag).toBe(`acme/hello:${run(project, 'git', 'rev-parse', 'HEAD:pkg/hello').trim()}`);
  expect(run(project, lkt, 'pkg', 'build', 'pkg/hello')).toContain(`${tag}@sha256:`);
  run(project, lkt, 'build', '--format', 'tar', 'images/os.yml');
  const names = run(project, 'tar', '--list', '--file', 'os.tar').split('\n');
  expect(names.map((name) => name.replace(/^\.?\//, ''))).toContain('hello');
});

test('loads compiled code from the cache of the user, and root not from that of another', () => {
  const compiled = join(home, '.cache/lkt/compiled');
  expect(existsSync(compiled)).toBe(true);
  const other = at('other-home');
  mkdirSync(other);
  chownSync(other, 1000, 1000);
  release.registry.run({ ...release.user, HOME: other }, work, lkt, 'version');
  expect(readdirSync(other)).toEqual([]);
});

test('runs in a project, where npm puts Node beside it', () => {
  const project = at('dependent');
  write(join(project, 'package.json'), '{ "private": true }');
  install('--prefix', project, '@lkt/cli@next');
  expect(existsSync(join(project, 'node_modules/@lkt/cli/node_modules'))).toBe(false);
  expect(run(project, 'npx', 'lkt', 'version', '--short')).toBe(`${VERSION}\n`);
});

test('npx runs lkt where the system has Node 18, and writes a workspace', () => {
  const own = at('node-18');
  const name = `node-linux-${process.arch}`;
  const options = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', own];
  execFileSync('npm', ['install', ...options, `${name}@${OLD_NODE}`]);
  const PATH = `${join(own, 'node_modules', name, 'bin')}:${release.user.PATH}`;
  const old = (...words: readonly string[]): string =>
    release.registry.run(
      { ...release.user, PATH },
      work,
      'npx',
      '--yes',
      '@lkt/cli@next',
      ...words,
    );
  expect(release.registry.run({ ...release.user, PATH }, work, 'npm', 'version')).toContain(
    `node: '${OLD_NODE}'`,
  );
  expect(JSON.parse(old('version', '--json'))).toMatchObject({
    version: VERSION,
    node: process.version,
  });
  old('init', '--template', 'minimal', 'old-node');
  expect(existsSync(at('old-node/images/old-node.yml'))).toBe(true);
});

test('a repository of lkt init pins the packages of the collection without building them', () => {
  const project = at('my-os');
  run(work, lkt, 'init', '--template', 'minimal', 'my-os');
  // Without network there is no compiler.
  write(join(project, 'pkg/hello/Dockerfile'), 'FROM scratch\nCOPY main.go /hello\n');
  install('--prefix', project);
  const pinned = run(project, 'npx', 'lkt', 'pin', '--offline', 'images/my-os.yml');
  const git = (...words: readonly string[]): string =>
    execFileSync('git', words, { cwd: root, encoding: 'utf8' }).trim();
  const hash = git('rev-parse', 'HEAD:kernel/debian');
  expect(pinned).toMatch(
    new RegExp(`^ {2}\\+ lkt/kernel-debian:${hash}@sha256:[0-9a-f]{64}$`, 'm'),
  );
  expect(pinned).toMatch(/^ {2}\+ my-os\/hello:[0-9a-f]{40}@sha256:/m);
  // The digest is that of this repository's own examples.
  const [pin = ''] = /lkt\/kernel-debian:\S+/.exec(pinned) ?? [];
  expect(readFileSync(join(root, 'examples/debian-kernel.yml'), 'utf8')).toContain(pin);
  // The other commands of the first minute.
  expect(run(project, 'npx', 'lkt', 'doctor')).toMatch(/^ok +store +/m);
  run(project, 'npx', 'lkt', 'new', 'package', 'second', '--lang', 'shell');
  run(project, 'npx', 'lkt', 'new', 'image', 'other', '--template', 'minimal');
  const graph = run(project, 'npx', 'lkt', 'graph', 'images/other.yml');
  expect(graph).toContain('lkt/kernel-debian');
  // Only what is the user's own is for CI to build.
  const plan = run(project, 'npx', 'lkt', 'ci', 'plan', '--dirs');
  expect(plan.trim().split('\n').toSorted()).toEqual(['pkg/hello', 'pkg/second']);
  const changed = join(project, 'node_modules/@lkt/packages/pkg/init/main.go');
  write(changed, 'package main\n');
  expect(() => run(project, 'npx', 'lkt', 'graph', 'images/my-os.yml')).toThrow(
    /the files of lkt\/init have the hash [0-9a-f]{40}, but collection.json lists/,
  );
});

test('lkt login lets a user push, until lkt logout', async () => {
  const host = '127.0.0.1:5001';
  await using served = serveRegistry(release, at('private'), host, { me: 'Se:cret' });
  expect(served).toBeDefined();
  const project = at('pushed');
  commitHello(project);
  const push = (): string => run(project, lkt, 'pkg', 'push', '--org', `${host}/acme`, 'pkg/hello');
  const login = (password: string): string =>
    run(
      project,
      'sh',
      '-c',
      'printf "%s" "$2" | "$0" login "$1" -u me --password-stdin',
      lkt,
      host,
      password,
    );
  expect(push).toThrow(`fix: log in: lkt login ${host}`);
  expect(() => login('other')).toThrow(`${host} rejected the user name or password`);
  const config = join(home, '.docker/config.json');
  expect(login('Se:cret')).toBe(`logged in to ${host} as me; the password is in ${config}\n`);
  expect(push()).toMatch(new RegExp(`^${host}/acme/hello:[0-9a-f]{40}@sha256:[0-9a-f]{64}$`, 'm'));
  expect(run(project, lkt, 'logout', host)).toBe(`removed the login to ${host} from ${config}\n`);
  expect(push).toThrow(`fix: log in: lkt login ${host}`);
});

test('says what to do if npm has skipped Node', () => {
  const project = at('without');
  write(join(project, 'package.json'), '{ "private": true }');
  install('--prefix', project, '--omit=optional', '@lkt/cli@next');
  const done = spawnSync(join(project, 'node_modules/.bin/lkt'), {
    encoding: 'utf8',
    env: release.user,
  });
  expect(done.status).toBe(1);
  expect(done.stderr).toMatch(/^error: the Node of lkt is not installed\n {2}cause: .*\n {2}fix: /);
});

test('a library is installed with its dependencies', () => {
  const project = at('importer');
  write(join(project, 'package.json'), '{ "private": true }');
  install('--prefix', project, '@lkt/dockerfile@next');
  expect(readdirSync(join(project, 'node_modules/@lkt')).toSorted()).toEqual([
    'core',
    'dockerfile',
    'oci',
  ]);
});

test('the libraries load and type-check in another project, by all their entry points', () => {
  const project = at('all-libraries');
  const installed = join(project, 'node_modules');
  for (const library of LIBRARIES) {
    const directory = join(installed, '@lkt', library);
    mkdirSync(directory, { recursive: true });
    const tarball = at(`packed/lkt-${library}-${VERSION}.tgz`);
    run(directory, 'tar', '--extract', '--file', tarball, '--strip-components=1');
    const own = join(root, 'packages', library, 'node_modules');
    if (existsSync(own)) symlinkSync(own, join(directory, 'node_modules'));
  }
  for (const name of readdirSync(modules))
    if (name !== '@lkt' && !name.startsWith('.'))
      symlinkSync(join(modules, name), join(installed, name));
  const entries = LIBRARIES.flatMap((library) => {
    const text = readFileSync(join(installed, '@lkt', library, 'package.json'), 'utf8');
    const { exports } = JSON.parse(text) as { readonly exports: object };
    return Object.keys(exports).map((name) => `@lkt/${library}${name.slice(1)}`);
  });
  write(join(project, 'package.json'), '{ "type": "module" }');
  write(
    join(project, 'main.ts'),
    `${entries.map((name, i) => `import * as e${i} from '${name}';\n`).join('')}
    export const names: string[] = [${entries.map((_, i) => `...Object.keys(e${i})`).join(', ')}];
    if (e${entries.indexOf('@lkt/oci')}.parseReference('a/b:c').tag !== 'c') throw new Error('tag');
    console.log(names.length);`,
  );
  const flags = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
  run(project, process.execPath, join(modules, 'typescript/bin/tsc'), ...flags, 'main.ts');
  expect(Number(run(project, process.execPath, 'main.js'))).toBeGreaterThan(300);
});

test(
  'the tutorial leads to a booted system, and guides to a web server, disks, network and debugging',
  { timeout: 2_400_000 },
  async () => {
    await using images = await serveImages(release, work);
    await using reader = await GuideReader.start(release, images, { version: 'next', work });
    const tutorial = await reader.follow('tutorial');
    const printed = (wanted: RegExp): readonly string[] =>
      tutorial.filter(({ output }) => wanted.test(output)).map(({ command }) => command);
    expect(printed(/^Linux 6\./m)).toEqual(['npx lkt ssh -- uname -sr']);
    const logs = 'npx lkt ssh -- lkt-logs hello';
    expect(printed(/ hello hello$/m)[0]).toBe(logs);
    expect(printed(/ hello from my-os$/m)).toEqual([logs]);
    // The registry served what the collection's policy accepts. Only the own package was built.
    const all = tutorial.map(({ output }) => output).join('\n');
    for (const name of ['go-static', 'kernel-debian', 'init', 'containerd', 'sshd'])
      expect(all).toMatch(new RegExp(`^pull 127\\.0\\.0\\.1:5000/lkt/${name}@sha256:`, 'm'));
    expect(all).toMatch(/^my-os\/hello: done /m);
    expect(all).not.toMatch(/^lkt\/\S+: done /m);
    expect(all).not.toMatch(/^warning: /m);

    // Its section about Debian's packages is for a machine with their archive.
    const guide = await reader.follow('howto/package', '## Programs from Debian');
    const outputs = Object.fromEntries(guide.map(({ command, output }) => [command, output]));
    const reference = /^my-os\/web:[0-9a-f]{40}@sha256:[0-9a-f]{64}$/m;
    expect(outputs['lkt pkg build pkg/web']).toMatch(reference);
    expect(outputs['lkt pkg build --check pkg/web']).toMatch(reference);
    const booted = outputs['lkt run images/my-os.yml'] ?? '';
    const [address] = /127\.0\.0\.1:\d+(?= forwards to port 8080 \(tcp\))/.exec(booted) ?? [];
    expect(address, booted).toBeDefined();
    const request = `curl --silent --fail --retry 60 --retry-delay 1 --retry-all-errors`;
    expect(reader.run(`${request} http://${address}/`)).toBe('Hello from my-os\n');

    const debugging = await reader.follow('howto/debug-boot');
    const said = Object.fromEntries(debugging.map(({ command, output }) => [command, output]));
    expect(said['lkt diff images/before.yml images/my-os.yml']).toMatch(/^ {2}\+ my-os\/web:/m);
    // All logs are on the console: without that, it shows no line of this service.
    await reader.see(/^hello: hello from my-os\r?$/m);
    await reader.see(/ hello hello from my-os\r?$/m, 'lkt-logs -n 1 hello');
    await reader.see(/^hello +running +\d+\r?$/m, 'service list');
    await reader.endMachine();
    expect(reader.run('head -c 4 boot.svg')).toBe('<svg');

    // iPXE of the network card gets the script that a DHCP server names.
    await reader.follow('howto/netboot');
    const network = 'user,id=n,bootfile=http://10.0.2.2:8080/boot.ipxe';
    const machine = ['-accel', 'tcg', '-m', '1G', '-nographic', '-no-reboot'];
    const card = ['-netdev', network, '-device', 'virtio-net-pci,netdev=n,bootindex=0'];
    const loaded = await reader.boot('qemu-system-x86_64', ...machine, ...card);
    expect(loaded).toMatch(/http:\/\/10\.0\.2\.2:8080\/boot\.ipxe\.\.\. ok/);
    expect(loaded).toMatch(/^lkt: service web /m);

    // The boot loaders are of the collection, too.
    await reader.follow('howto/cloud-disk', '## Upload');
    const disks = ['my-os-efi.qcow2', 'my-os.img.tar.gz', 'my-os.raw', 'my-os.vhd'];
    expect(reader.run('cd out && ls *.qcow2 *.raw *.tar.gz *.vhd && cd ..').split('\n')).toEqual([
      ...disks,
      '',
    ]);
  },
);
