import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { main } from '../program.ts';

/** The end of a command of lkt. `status` is null after a signal. */
export interface Outcome {
  readonly status: number | null;
  readonly stderr: string;
  /** Milliseconds until it ended or was killed. */
  readonly ms: number;
}

const PACKAGES = {
  tools: 'FROM scratch\nCOPY bin /bin\nCOPY text /etc/text\n',
  app: `FROM example/tools
RUN --mount=type=cache,id=kept,target=/kept echo 1 | tee /kept/one > /etc/one
COPY kernel init /
`,
};

/** A workspace with two packages and an image of them, which builds in about a second. */
export class SmallWorkspace {
  readonly #directory: string;
  readonly #argv: readonly string[];

  /**
   * @param directory an empty directory
   * @param argv the start of a command line that runs the rest of it; default: none
   */
  constructor(directory: string, argv: readonly string[] = []) {
    this.#directory = directory;
    this.#argv = argv;
    mkdirSync(this.at('tmp'));
  }

  at(...names: readonly string[]): string {
    return join(this.#directory, ...names);
  }

  /** Writes the files, and pins them with the store of that name. */
  async write(store: string): Promise<void> {
    for (const [name, dockerfile] of Object.entries(PACKAGES)) this.addPackage(name, dockerfile);
    mkdirSync(this.at('pkg/tools/bin'));
    copyFileSync('/bin/busybox', this.at('pkg/tools/bin/busybox'));
    for (const program of ['sh', 'tee', 'head'])
      symlinkSync('busybox', this.at('pkg/tools/bin', program));
    const lines = Array.from({ length: 5_000 }, (_, line) => `line ${line} ${Math.sqrt(line)}`);
    writeFileSync(this.at('pkg/tools/text'), lines.join('\n'));
    writeFileSync(this.at('pkg/app/kernel'), 'the kernel\n');
    writeFileSync(this.at('pkg/app/init'), 'init\n');
    writeFileSync(
      this.at('system.yml'),
      "kernel: {image: '@pkg:./pkg/app', tar: none, cmdline: console=ttyS0}\ninit: ['@pkg:./pkg/app']\n",
    );
    writeFileSync(this.at('.gitignore'), '/compiled\n/out*\n/store*\n/tmp\n');
    this.#git('init', '-q', '.');
    this.commit();
    const { stderr } = await this.lkt(store, ['pin']);
    if (/^error/m.test(stderr)) throw new Error(stderr);
    this.commit();
  }

  addPackage(name: string, dockerfile: string): void {
    mkdirSync(this.at('pkg', name), { recursive: true });
    writeFileSync(this.at('pkg', name, 'build.yml'), `org: example\nimage: ${name}\n`);
    writeFileSync(this.at('pkg', name, 'Dockerfile'), dockerfile);
  }

  commit(): void {
    this.#git('add', '-A');
    this.#git('-c', 'user.name=A', '-c', 'user.email=a@b.example', 'commit', '-qm', 'change');
  }

  #git(...args: readonly string[]): void {
    execFileSync('git', args, { cwd: this.#directory });
  }

  /**
   * Runs lkt with the store of that name.
   * @param killAfter milliseconds after which it is killed
   * @param env further variables
   */
  async lkt(
    store: string,
    args: readonly string[],
    { killAfter, env }: { readonly killAfter?: number; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<Outcome> {
    const [program = '', ...words] = [...this.#argv, process.execPath, main, ...args];
    const start = performance.now();
    const child = spawn(program, words, {
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: this.#directory,
        LKT_CACHE: this.at(store),
        // As the script lkt sets it.
        NODE_COMPILE_CACHE: this.at('compiled'),
        LKT_STORE_KEY: '1'.repeat(64),
        NO_COLOR: '1',
        TMPDIR: this.at('tmp'),
        ...env,
      },
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    let ms: number | undefined;
    const kill = (): void => {
      ms = performance.now() - start;
      child.kill('SIGKILL');
    };
    const timer = killAfter === undefined ? undefined : setTimeout(kill, killAfter);
    // Descendants of a killed process may hold its standard error.
    const end = killAfter === undefined ? 'close' : 'exit';
    const status = await new Promise<number | null>((resolve) => child.once(end, resolve));
    clearTimeout(timer);
    return { status, stderr, ms: ms ?? performance.now() - start };
  }

  /** Builds the packages from their cached steps, then the image into a directory. */
  async build(store: string, output: string): Promise<Outcome> {
    const packages = await this.lkt(store, ['pkg', 'build', '--force', '--deps', 'pkg/app']);
    if (packages.status !== 0) return packages;
    const image = await this.lkt(store, this.imageCommand(output));
    return { ...image, stderr: packages.stderr + image.stderr };
  }

  imageCommand(output: string): readonly string[] {
    return ['build', '--dir', output, '--format', 'kernel+initrd,kernel+squashfs', 'system.yml'];
  }

  /** Returns the digests of the files of an image, by name. */
  digestsIn(output: string): Readonly<Record<string, string>> {
    return Object.fromEntries(
      readdirSync(this.at(output)).map((name) => {
        const bytes = readFileSync(this.at(output, name));
        return [name, createHash('sha256').update(bytes).digest('hex')];
      }),
    );
  }
}
