import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processorTime } from '../../bench/processes.ts';
import type { PublishedRelease } from './published-release.ts';

const root = join(import.meta.dirname, '../../..');

/** The packages that a new system, its disk images, its Go service and its debugging need. */
const SYSTEM = [
  'kernel/debian',
  ...['containerd', 'dhcp', 'getty', 'init', 'runc', 'sshd'].map((name) => `pkg/${name}`),
  'tools/boot',
  'tools/go-static',
];

const IMAGES = '127.0.0.1:5000';

/** A registry with the images of the collection, beside that of npm. */
export interface ImageRegistry extends AsyncDisposable {
  readonly prefix: string;
}

/**
 * Serves the images of a new system, signed as the collection's policy requires. Builds those that
 * the store of this process lacks.
 * @param work directory for its files
 */
export async function serveImages(release: PublishedRelease, work: string): Promise<ImageRegistry> {
  const { registry } = release;
  const env = { ...process.env, NO_COLOR: '1', COSIGN_PASSWORD: '' };
  const lkt = join(root, 'lkt');
  execFileSync(lkt, ['pkg', 'build', ...SYSTEM], { cwd: root, env, stdio: 'ignore' });
  const served = serveRegistry(release, join(work, 'images'), IMAGES);
  const pushed = registry.run(env, root, lkt, 'pkg', 'push', '--org', `${IMAGES}/lkt`, ...SYSTEM);
  // lkt would keep the signatures in the user's store.
  for (const [reference] of pushed.matchAll(/^\S+@sha256:[0-9a-f]{64}$/gm)) {
    const flags = ['--key', release.key, '--yes', '--tlog-upload=false'];
    registry.run(env, root, 'cosign', 'sign', ...flags, reference.replace(/:[0-9a-f]{40}@/, '@'));
  }
  return { prefix: `${IMAGES}/lkt`, [Symbol.asyncDispose]: served[Symbol.asyncDispose] };
}

/**
 * Starts a container registry in the network namespace of the npm registry.
 * @param address HOST:PORT
 * @param users passwords by name; without them it serves everybody
 */
export function serveRegistry(
  { registry, user }: PublishedRelease,
  directory: string,
  address: string,
  users: Readonly<Record<string, string>> = {},
): AsyncDisposable {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'config.yml');
  const path = join(directory, 'htpasswd');
  const lines = Object.entries(users).map(([name, password]) =>
    execFileSync('htpasswd', ['-Bbn', name, password], { encoding: 'utf8' }).trim(),
  );
  writeFileSync(path, `${lines.join('\n')}\n`);
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: { addr: address },
    ...(lines.length === 0 ? {} : { auth: { htpasswd: { realm: 'test', path } } }),
  };
  // JSON is valid YAML.
  writeFileSync(file, JSON.stringify(config));
  // A pipe would fill up while this process waits for a command.
  const serve = 'exec docker-registry serve "$0" >/dev/null 2>&1';
  const server = registry.start({ PATH: user.PATH }, directory, 'sh', '-c', serve, file);
  // Without --fail, the answer to a request without password suffices.
  const get = ['--silent', '--retry', '100', '--retry-delay', '0', '--retry-all-errors'];
  registry.run(user, '/', 'curl', ...get, `http://${address}/v2/`);
  return { [Symbol.asyncDispose]: async () => end(server) };
}

interface Step {
  readonly name: string;
  readonly seconds: number;
  /** Processor time of the processes that ended meanwhile, in seconds. */
  readonly processor: number;
}

/** The steps of a new user. */
export interface Minute {
  readonly steps: readonly Step[];
  /** Output of the commands. */
  readonly output: string;
}

/**
 * Does what `lkt init` tells a new user to do, from an empty home to a login over ssh.
 * @param images without a registry, all packages are built from source, with the network of this
 * process for the archive of Debian
 */
export async function firstMinute(
  release: PublishedRelease,
  images: ImageRegistry | undefined,
  work: string,
): Promise<Minute> {
  const { registry } = release;
  const runtime = join(work, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  const outside = images === undefined ? networkSettings() : {};
  const user = { ...release.user, ...outside, XDG_RUNTIME_DIR: runtime };
  const key = join(user.HOME, '.ssh/id_ed25519');
  mkdirSync(join(user.HOME, '.ssh'), { mode: 0o700 });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const projects = join(work, 'projects');
  mkdirSync(projects);
  const project = join(projects, 'my-os');
  const steps: Step[] = [];
  let output = '';
  const timed = async (name: string, action: () => Promise<void>): Promise<void> => {
    const start = performance.now();
    const spent = processorTime();
    await action();
    const seconds = (performance.now() - start) / 1000;
    steps.push({ name, seconds, processor: (processorTime() - spent) / 1000 });
  };
  const start = (cwd: string, program: string, ...words: readonly string[]): ChildProcess => {
    const isInside = images !== undefined || program !== 'node_modules/.bin/lkt';
    const child = isInside
      ? registry.start(user, cwd, program, ...words)
      : spawn(program, words, { cwd, env: user });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
    return child;
  };
  const run = async (cwd: string, program: string, ...words: readonly string[]): Promise<void> => {
    const [status] = (await once(start(cwd, program, ...words), 'close')) as [number | null];
    if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${output.slice(-4000)}`);
  };
  const served = images === undefined ? [] : ['--registry', images.prefix];
  await timed('npx @lkt/cli init', async () =>
    run(projects, 'npx', '--yes', '@lkt/cli', 'init', 'my-os', ...served),
  );
  await timed('npm install', async () => run(project, 'npm', 'install', '--no-audit'));
  const lkt = 'node_modules/.bin/lkt';
  await timed('lkt pin', async () => run(project, lkt, 'pin', 'images/my-os.yml'));
  const machine = start(project, lkt, 'run', 'images/my-os.yml');
  try {
    await timed('lkt run', async () =>
      until(machine, () => output.includes(' forwards to port 22')),
    );
    await timed('login', async () =>
      run(project, lkt, 'ssh', '--identity', key, '--wait', '15m', '--', 'true'),
    );
  } finally {
    await timed('end', async () => end(machine));
  }
  return { steps, output };
}

/** Returns the settings by which this process reaches the archive of Debian. */
function networkSettings(): Readonly<Record<string, string>> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'LKT_DEBIAN_MIRROR'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function until(child: ChildProcess, condition: () => boolean): Promise<void> {
  while (!condition()) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`);
    await delay(50);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGINT');
  await closed;
}
