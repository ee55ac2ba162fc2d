import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildNxPlugin } from '../../../tools/build/nx-plugin.ts';

const repository = join(import.meta.dirname, '../../..');
const bin = join(repository, 'node_modules/.bin');

/** Path of lkt in tests. */
export const LKT: string = join(repository, 'lkt');

/**
 * An Nx workspace with git, in a directory of its own, with its own home and this checkout's
 * node_modules.
 */
export class TestWorkspace implements AsyncDisposable {
  readonly dir: string;
  /** Further variables for Nx. */
  readonly env: Record<string, string> = {};
  readonly #home: string;
  readonly #dispose: () => Promise<void>;

  private constructor(top: string, dispose: () => Promise<void>) {
    this.dir = join(top, 'work');
    this.#home = join(top, 'home');
    this.#dispose = dispose;
    mkdirSync(this.#home);
  }

  static async create(
    files: Readonly<Record<string, string>>,
    options: object = {},
  ): Promise<TestWorkspace> {
    const workspace = await TestWorkspace.empty();
    workspace.write({
      'nx.json': JSON.stringify({
        analytics: false,
        neverConnectToCloud: true,
        defaultBase: 'main',
        tui: { enabled: false },
        plugins: [{ plugin: '@lkt/nx-plugin', options }],
      }),
      'package.json': '{ "name": "workspace", "private": true }',
      '.gitignore': 'node_modules\n.nx\nout\n',
      ...files,
    });
    workspace.link();
    workspace.git('init', '--quiet', '--initial-branch=main');
    workspace.commit();
    return workspace;
  }

  /** Links this checkout's node_modules. */
  private link(): void {
    symlinkSync(join(repository, 'node_modules'), join(this.dir, 'node_modules'));
  }

  /** Replaces this checkout's plugin by its npm package. */
  async install(): Promise<void> {
    const modules = join(this.dir, 'node_modules');
    rmSync(modules);
    mkdirSync(join(modules, '@lkt/nx-plugin'), { recursive: true });
    for (const name of readdirSync(join(repository, 'node_modules')))
      if (name !== '@lkt') symlinkSync(join(repository, 'node_modules', name), join(modules, name));
    const made = join(this.dir, '../package');
    await buildNxPlugin(repository, made, new Set());
    await this.run('npm', 'pack', '--silent', '--pack-destination', join(this.dir, '..'), made);
    const packed = join(this.dir, '../lkt-nx-plugin-0.0.0.tgz');
    const target = join(modules, '@lkt/nx-plugin');
    await this.run('tar', '--extract', '--file', packed, '--strip-components=1', '-C', target);
  }

  /** Clones the committed files, as on another machine. */
  async clone(): Promise<TestWorkspace> {
    const other = await TestWorkspace.empty();
    other.git('clone', '--quiet', this.dir, '.');
    other.link();
    return other;
  }

  private static async empty(): Promise<TestWorkspace> {
    const temporary = await mkdtempDisposable(join(realpathSync(tmpdir()), 'lkt-nx-'));
    const workspace = new TestWorkspace(temporary.path, async () => temporary.remove());
    mkdirSync(workspace.dir);
    return workspace;
  }

  get store(): string {
    return join(this.#home, '.cache/lkt');
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.dir, path)), { recursive: true });
      writeFileSync(join(this.dir, path), text);
    }
  }

  git(...args: readonly string[]): string {
    return execFileSync('git', args, { cwd: this.dir, encoding: 'utf8', env: this.#env() });
  }

  commit(): void {
    this.git('add', '--all');
    const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
    this.git(...who, 'commit', '--quiet', '--allow-empty', '--message', 'all');
  }

  /** Runs Nx and returns its standard output and standard error. */
  async nx(...args: readonly string[]): Promise<string> {
    return this.run(join(bin, 'nx'), ...args);
  }

  async lkt(...args: readonly string[]): Promise<string> {
    return this.run(LKT, ...args);
  }

  /**
   * Runs Nx and returns the tasks, sorted, with the origin of their outputs: `a:pkg-build local
   * cache`.
   */
  async tasks(...args: readonly string[]): Promise<readonly string[]> {
    const output = await this.nx(...args, '--output-style=static');
    const lines = output.matchAll(/^> nx run (\S+:\S+)(?:\s+\[(.+)\])?$/gm);
    return [...lines].map(([, task, how]) => `${task} ${how ?? 'run'}`).toSorted();
  }

  async run(program: string, ...args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { cwd: this.dir, env: this.#env(), maxBuffer: 2 ** 26 };
      execFile(program, args, options, (error, stdout, stderr) => {
        if (error === null) resolve(`${stdout}${stderr}`);
        else reject(new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`));
      });
    });
  }

  #env(): Record<string, string> {
    return {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: this.#home,
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/node'),
      NX_DAEMON: 'false',
      NX_ISOLATE_PLUGINS: 'false',
      ...this.env,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}
