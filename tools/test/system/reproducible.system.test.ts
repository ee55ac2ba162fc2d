import { execFileSync } from 'node:child_process';
import { createHash, hash } from 'node:crypto';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lkt, measuredLkt, type Options, root } from './helpers/lkt.ts';
import { isChosen } from '@lkt/testing/remembered';
import { packagesWith } from './helpers/kernels.ts';
import { inputs, proven, SOURCES } from './helpers/proof.ts';

const EXAMPLES = [
  'minimal',
  'sshd',
  'getty',
  'metadata',
  'volumes',
  'static-ip',
  'wireguard',
  'tiny',
  'node_exporter',
  'logging',
  'containerd',
  'redis',
  'debian-kernel',
];
/** Examples that are written as disks too; the others add packages, but no formats. */
const ON_DISKS: readonly string[] = ['sshd'];
/** Formats with a disk, and their file name endings. */
const DISKS = {
  'raw-efi': '-efi.img',
  'iso-bios': '.iso',
  'kernel+squashfs': '-squashfs.img',
  'kernel+erofs': '-erofs.img',
};
/** A user that no machine has, without an entry in /etc/subuid. */
const STRANGER = '23456';

const dir = mkdtempSync(join(tmpdir(), 'lkt-reproducible-'));
chmodSync(dir, 0o755);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Built {
  /** A line per output file, and per pinned image: its index, manifests and layers. */
  readonly lines: readonly string[];
  readonly peakMiB: number;
}

let here: Built;
let there: Built;

beforeAll(async () => {
  buildDist(root);
  here = await describeBuild(join(dir, 'here'), {});
  there = JSON.parse(
    await proven(`reproducible-${ON_DISKS.length}-of-${EXAMPLES.length}`, buildAsStranger),
  ) as Built;
}, 2_400_000);

test('builds the same bytes from nothing in another directory as another user', () => {
  expect(there.lines).toEqual(here.lines);
  expect(here.lines.filter((line) => line.startsWith('lkt/')).length).toBeGreaterThan(10);
});

test('lists packages copied from other images, boot loaders and Go modules in the SBOM', () => {
  const path = join(dir, 'here', 'sshd-sbom.spdx.json');
  const { packages } = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly packages: readonly { readonly SPDXID: string; readonly name: string }[];
  };
  const names = packages.map(({ name }) => name);
  const debs = packages
    .filter(({ SPDXID }) => SPDXID.startsWith('SPDXRef-deb-'))
    .map(({ name }) => name);
  const goSources = debs.filter((name) => name.startsWith('golang-'));
  expect(goSources).toContain('golang-github-opencontainers-runc-dev');
  expect(goSources).toContain('golang-1.24-src');
  expect(debs.filter((name) => !goSources.includes(name))).toEqual([
    'busybox',
    'isolinux',
    'libc6',
    // Linked into runc, containerd and lkt's own programs.
    'libc6-dev',
    'libgcc-14-dev',
    'libseccomp-dev',
    'linux',
    'musl-dev',
    'syslinux-common',
    'systemd-boot-efi',
  ]);
  const others = ['stdlib', 'github.com/opencontainers/runc', 'golang.org/x/sys'];
  for (const name of [...others, 'lkt/sshd', 'lkt/linux', 'lkt/linux-source'])
    expect(names).toContain(name);
});

test('needs less than 190 MB of memory for each build', () => {
  expect(here.peakMiB).toBeGreaterThan(20);
  expect(here.peakMiB).toBeLessThan(190);
  expect(there.peakMiB).toBeLessThan(190);
});

/** Packages that take long to compile; the kernel has its own test, `npm run test:kernel`. */
const COMPILED_LONG = [
  'kernel/linux',
  'pkg/containerd-programs',
  'pkg/crun',
  'pkg/runc',
  'tools/go-static',
];

/**
 * Returns the packages of which the stranger takes the steps from a cache, and which must match the
 * pins: those above, and three in four of the others, in turn. The second build of each package,
 * in check.system.test.ts, is from nothing.
 */
function fromCache(): readonly string[] {
  const turn = inputs([...SOURCES, ':(glob)packages/*/src/**']);
  const others = packagesWith('Dockerfile').filter(
    (path) => !path.startsWith('kernel/') && !isChosen(hash('sha256', `${turn} ${path}`)),
  );
  return [...new Set([...COMPILED_LONG, ...others])];
}

/** Builds from an empty store in another clone, as another user in another environment. */
async function buildAsStranger(): Promise<string> {
  const home = join(dir, 'the home of a stranger');
  mkdirSync(home);
  const checkout = join(home, 'lkt');
  cloneWorkTree(join(dir, 'lkt.bundle'), checkout);
  // The lock file fixes the contents; npm's access to its registry is this user's configuration.
  execFileSync('cp', ['-a', '--reflink=auto', join(root, 'node_modules'), checkout]);
  execFileSync('chown', ['-R', '--no-dereference', `${STRANGER}:${STRANGER}`, home]);
  const identity = ['setpriv', '--reuid', STRANGER, '--regid', STRANGER, '--clear-groups'];
  buildDist(checkout, identity);
  const place = ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere; umask 077; exec "$@"', 'sh'];
  const steps = `oci-layout:${join(dir, 'steps')}`;
  const cached = fromCache();
  await buildPackages(cached, {}, '--cache-to', steps);
  const options = {
    checkout,
    cwd: '/',
    under: [...place, ...identity],
    env: {
      HOME: home,
      XDG_CACHE_HOME: join(home, '.cache'),
      XDG_STATE_HOME: join(home, '.local/state'),
      LKT_CACHE: join(home, 'cache'),
      TZ: 'Asia/Kathmandu',
      LANG: 'tr_TR.UTF-8',
    },
  };
  await buildPackages(cached, options, '--cache-from', steps);
  return JSON.stringify(await describeBuild(join(home, 'out'), options));
}

async function buildPackages(
  directories: readonly string[],
  options: Options,
  ...args: readonly string[]
): Promise<void> {
  const cwd = options.checkout ?? root;
  const built = await lkt(['pkg', 'build', ...args, ...directories], { ...options, cwd });
  expect(built.status, built.stderr).toBe(0);
}

/** Builds dist/ as tools/setup does: lkt takes some 30 MB more from the sources. */
function buildDist(checkout: string, under: readonly string[] = []): void {
  execFileSync('env', [...under, 'node_modules/.bin/node', 'tools/build/main.ts'], {
    cwd: checkout,
    // The error quotes what it writes to standard error.
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function describeBuild(out: string, options: Options): Promise<Built> {
  const env = { HOME: join(dir, 'no home'), XDG_CACHE_HOME: cacheHome(), ...options.env };
  const checkout = options.checkout ?? root;
  const lines: string[] = [];
  let peakMiB = 0;
  for (const name of EXAMPLES) {
    const config = join(checkout, `examples/${name}.yml`);
    const disks: Readonly<Record<string, string>> = ON_DISKS.includes(name) ? DISKS : {};
    const formats = ['--format', ['kernel+initrd', ...Object.keys(disks)].join(',')];
    const built = await measuredLkt(['build', '--sbom', 'spdx', '--dir', out, ...formats, config], {
      ...options,
      env,
    });
    expect(built.status, built.stderr).toBe(0);
    peakMiB = Math.max(peakMiB, built.peakMiB);
    const parts = ['-kernel', '-initrd.img', '-cmdline', '-sbom.spdx.json'];
    for (const part of [...parts, ...Object.values(disks)])
      lines.push(`${sha256(join(out, `${name}${part}`))} ${name}${part}`);
  }
  const { stdout } = await lkt(['env', '--json'], { ...options, env });
  const { settings } = JSON.parse(stdout) as { settings: { name: string; value: string }[] };
  const store = settings.find(({ name }) => name === 'LKT_CACHE')?.value ?? '';
  for (const pin of pins(checkout)) lines.push(`${pin} ${contents(store, pin).join(' ')}`);
  return { lines, peakMiB };
}

/**
 * Returns the `name:tag@digest` pins of the examples and of the Dockerfiles of their packages,
 * sorted.
 */
function pins(checkout: string): string[] {
  const read = (file: string): string => readFileSync(join(checkout, file), 'utf8');
  const dockerfiles = new Map(
    globSync('{pkg,kernel,tools}/*/Dockerfile', { cwd: checkout }).map((file) => {
      const [, image = ''] = /^image: (\S+)/m.exec(read(join(dirname(file), 'build.yml'))) ?? [];
      return [image, read(file)];
    }),
  );
  const found = new Set<string>();
  const visit = (text: string): void => {
    for (const [pin, name = ''] of text.matchAll(PIN)) {
      if (found.has(pin)) continue;
      found.add(pin);
      visit(dockerfiles.get(name) ?? '');
    }
  };
  for (const name of EXAMPLES) visit(read(`examples/${name}.yml`));
  visit(read('packages/image/src/config/boot-loader.ts'));
  return [...found].toSorted();
}

const PIN = /lkt\/([a-z0-9_-]+):[0-9a-f]{40}@sha256:[0-9a-f]{64}/g;

/** Returns the digests of an image's manifests and layers in a store. */
function contents(store: string, pin: string): string[] {
  const index = readJson(store, pin.slice(pin.indexOf('@') + 1)) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  return index.manifests.flatMap(({ digest }) => {
    const manifest = readJson(store, digest) as {
      readonly layers: readonly { readonly digest: string }[];
    };
    return [digest, ...manifest.layers.map((layer) => layer.digest)];
  });
}

function readJson(store: string, digest: string): unknown {
  return JSON.parse(readFileSync(join(store, 'blobs', digest.replace(':', '/')), 'utf8'));
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function cacheHome(): string {
  const { XDG_CACHE_HOME, HOME = '/' } = process.env;
  return XDG_CACHE_HOME ?? join(HOME, '.cache');
}

/** Clones the repository with the current files, committed or not, in a commit. */
function cloneWorkTree(bundle: string, checkout: string): void {
  git(root, 'bundle', 'create', '--quiet', bundle, 'HEAD');
  git(root, '-c', 'advice.detachedHead=false', 'clone', '--quiet', bundle, checkout);
  const names = git(root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard');
  const list = ['--null', '--ignore-failed-read', '--verbatim-files-from', '-T', '-'];
  execFileSync('tar', ['-cf', `${bundle}.tar`, ...list], {
    cwd: root,
    input: names,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  execFileSync('tar', ['-xf', `${bundle}.tar`, '-C', checkout]);
  git(checkout, 'add', '--all');
  git(checkout, 'commit', '--quiet', '--allow-empty', '-m', 'as it is');
}

function git(cwd: string, ...args: readonly string[]): string {
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  const options = ['-c', 'init.defaultBranch=main', ...identity];
  return execFileSync('git', [...options, ...args], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
}
