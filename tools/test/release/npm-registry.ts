import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

export const REGISTRY = 'http://127.0.0.1:4873';

const CONFIG = `
storage: ./storage
auth: { htpasswd: { file: ./htpasswd } }
uplinks: {}
packages: { '**': { access: $all, publish: $all } }
listen: ${REGISTRY.slice('http://'.length)}
max_body_size: 500mb
web: { enable: false }
log: { type: stdout, format: json, level: warn }
`;

/** Says that the registry serves: Verdaccio logs it as a warning. */
const READY = /http address/;

/** An npm registry in a network namespace that has nothing but a loopback interface. */
export class NpmRegistry implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** File with the registry's standard error. */
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  /** @param directory for its files, which need not exist */
  static async start(directory: string): Promise<NpmRegistry> {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'config.yaml'), CONFIG);
    const require = createRequire(import.meta.url);
    const verdaccio = join(dirname(require.resolve('verdaccio/package.json')), 'bin/verdaccio');
    const script = 'ip link set lo up && exec "$0" "$@" 2>stderr';
    const words = [process.execPath, verdaccio, '--config', join(directory, 'config.yaml')];
    const child = spawn('unshare', ['--net', 'sh', '-c', script, ...words], {
      cwd: directory,
      env: { PATH: process.env['PATH'], HOME: directory },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const registry = new NpmRegistry(child, join(directory, 'stderr'));
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (READY.test(line)) {
        child.stdout.resume();
        return registry;
      }
    }
    throw new Error(`no registry: ${lines.join('\n')}`);
  }

  /** Runs a program in the namespace. @throws Error if it fails, with the registry's state */
  run(
    env: Readonly<Record<string, string>>,
    cwd: string,
    program: string,
    ...words: readonly string[]
  ): string {
    const inside = ['--target', String(this.#child.pid), '--net', '--', program, ...words];
    const done = spawnSync('nsenter', inside, {
      cwd,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 2 ** 26,
    });
    if (done.status === 0) return done.stdout;
    const how = done.error?.message ?? done.signal ?? `exit ${done.status}`;
    throw new Error(`${program} ${words.join(' ')}: ${how}\n${done.stderr}\n${this.#state()}`);
  }

  #state(): string {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const [state] = /^State:.*$/m.exec(status) ?? [];
    return `registry: ${state}\n${readFileSync(this.#log, 'utf8')}`;
  }

  /** Starts a program in the namespace, with its input and output as pipes. */
  start(
    env: Readonly<Record<string, string>>,
    cwd: string,
    program: string,
    ...words: readonly string[]
  ): ChildProcess {
    const inside = ['--target', String(this.#child.pid), '--net', '--', program, ...words];
    return spawn('nsenter', inside, { cwd, env });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill();
    await once(this.#child, 'close');
  }
}
