import { spawnSync } from 'node:child_process';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const repository = join(import.meta.dirname, '../../..');

/** A workspace of Nx in a directory of its own, committed to git, with the node_modules of this checkout. */
export class TestWorkspace implements AsyncDisposable {
  readonly dir: string;
  readonly #dispose: () => Promise<void>;

  private constructor(dir: string, dispose: () => Promise<void>) {
    this.dir = dir;
    this.#dispose = dispose;
  }

  static async create(
    files: Readonly<Record<string, string>>,
    options = {},
  ): Promise<TestWorkspace> {
    const temporary = await mkdtempDisposable(join(realpathSync(tmpdir()), 'lkt-nx-'));
    const workspace = new TestWorkspace(temporary.path, async () => temporary.remove());
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
    symlinkSync(join(repository, 'node_modules'), join(workspace.dir, 'node_modules'));
    workspace.git('init', '--quiet', '--initial-branch=main');
    workspace.commit();
    return workspace;
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.dir, path)), { recursive: true });
      writeFileSync(join(this.dir, path), text);
    }
  }

  git(...args: readonly string[]): string {
    return this.#run('git', args);
  }

  commit(): void {
    this.git('add', '--all');
    const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
    this.git(...who, 'commit', '--quiet', '--allow-empty', '--message', 'all');
  }

  /** What Nx writes to standard output. */
  nx(...args: readonly string[]): string {
    return this.#run(join(repository, 'node_modules/.bin/nx'), args);
  }

  #run(program: string, args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(program, args, {
      cwd: this.dir,
      encoding: 'utf8',
      env: {
        PATH: `${join(repository, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
        HOME: this.dir,
        NO_COLOR: '1',
        NX_DAEMON: 'false',
        NX_ISOLATE_PLUGINS: 'false',
        NX_WORKSPACE_DATA_DIRECTORY: join(this.dir, '.nx/workspace-data'),
      },
    });
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}
