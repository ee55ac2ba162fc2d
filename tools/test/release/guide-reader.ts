import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { guideSteps, type GuideStep } from '@lkt/testing/guide-steps';
import type { ImageRegistry } from './first-minute.ts';
import type { PublishedRelease } from './published-release.ts';

const root = join(import.meta.dirname, '../../..');

/** A command of a guide, with what it printed. */
export interface Done {
  readonly command: string;
  readonly output: string;
}

/** A program that runs beside the guide. */
interface Running {
  readonly child: ChildProcess;
  output: string;
}

/**
 * A new user who follows guides with the packed packages: runs their commands and writes their
 * files. There are two differences: `lkt init` gets the registry of the images, and machines and
 * servers run without npx, which does not pass on signals.
 */
export class GuideReader implements AsyncDisposable {
  readonly #release: PublishedRelease;
  readonly #images: ImageRegistry;
  readonly #version: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #agent: ChildProcess;
  readonly #work: string;
  #cwd: string;
  #machine: Running | undefined;
  #server: Running | undefined;

  private constructor(
    release: PublishedRelease,
    images: ImageRegistry,
    { version, work }: { readonly version: string; readonly work: string },
  ) {
    this.#release = release;
    this.#images = images;
    this.#version = version;
    this.#work = work;
    this.#cwd = join(work, 'guides');
    const runtime = join(work, 'runtime');
    for (const dir of [runtime, join(release.user.HOME, '.ssh')]) mkdirSync(dir, { mode: 0o700 });
    mkdirSync(this.#cwd);
    this.#env = {
      ...release.user,
      npm_config_yes: 'true',
      XDG_RUNTIME_DIR: runtime,
      SSH_AUTH_SOCK: join(runtime, 'agent'),
      GIT_AUTHOR_NAME: 'A',
      GIT_AUTHOR_EMAIL: 'a@example.com',
      GIT_COMMITTER_NAME: 'A',
      GIT_COMMITTER_EMAIL: 'a@example.com',
    };
    // ssh looks for keys in the home of the user's account, whatever HOME is.
    const words = ['-D', '-a', join(runtime, 'agent')];
    this.#agent = spawn('ssh-agent', words, { stdio: 'ignore' });
  }

  /**
   * @param options `version` of the release, which npm does not take by itself if it is a
   * prerelease; `work` is a directory for files
   */
  static async start(
    release: PublishedRelease,
    images: ImageRegistry,
    options: { readonly version: string; readonly work: string },
  ): Promise<GuideReader> {
    const reader = new GuideReader(release, images, options);
    const key = join(release.user.HOME, '.ssh/id_ed25519');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    try {
      await untilAdded(key, reader.#env);
    } catch (error) {
      reader.#agent.kill();
      throw error;
    }
    return reader;
  }

  /**
   * Follows a guide in the directory where the one before it ended, up to a heading. The machine of
   * its last `lkt run` keeps running.
   * @param page path in docs, such as `howto/package`
   * @returns the commands that were run
   */
  async follow(page: string, end?: string): Promise<readonly Done[]> {
    const text = readFileSync(join(root, 'docs', `${page}.md`), 'utf8');
    const done: Done[] = [];
    try {
      for (const step of guideSteps(text, { end })) {
        if (step.kind === 'command') done.push(...(await this.#take(step.command)));
        else this.#write(step);
      }
      return done;
    } catch (error) {
      const console = this.#machine?.output.slice(-4000) ?? '';
      throw new Error(`${String(error)}\n${console}`, { cause: error });
    }
  }

  /** Waits for text on the console of the machine; with a line, types it and waits for new text. */
  async see(wanted: RegExp, line?: string): Promise<void> {
    const machine = this.#machine;
    if (machine === undefined) throw new Error('no machine is running');
    const from = line === undefined ? 0 : machine.output.length;
    if (line !== undefined) machine.child.stdin?.write(`${line}\n`);
    await untilPrinted(machine, (output) => wanted.test(output.slice(from)));
  }

  /** Ends the machine. */
  async endMachine(): Promise<void> {
    await stop(this.#machine);
    this.#machine = undefined;
  }

  /** Boots a machine of the user by a program of their own, such as QEMU. Returns its output. */
  async boot(program: string, ...words: readonly string[]): Promise<string> {
    await this.endMachine();
    this.#machine = this.#start(program, ...words);
    return booted(this.#machine);
  }

  /** Runs commands of bash in the user's directory, and returns what they print. */
  run(script: string): string {
    // Names the directory in which the script ends.
    const named = join(this.#work, 'cwd');
    const whole = `set -eu\nexec 2>&1\n${script}\npwd >'${named}'\n`;
    const { registry } = this.#release;
    const output = registry.run(this.#env, this.#cwd, 'bash', '-c', whole);
    this.#cwd = readFileSync(named, 'utf8').trim();
    return output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endMachine();
    await stop(this.#server);
    this.#agent.kill();
  }

  async #take(command: string): Promise<readonly Done[]> {
    if (command.startsWith('sudo apt-get install ')) return [];
    const words = command.replace(/^lkt /, 'npx lkt ');
    const started = words.replace('npx lkt', 'exec node_modules/.bin/lkt');
    if (words.startsWith('npx lkt run '))
      return [{ command, output: await this.boot('bash', '-c', started) }];
    if (words.startsWith('npx lkt serve ')) {
      await stop(this.#server);
      this.#server = this.#start('bash', '-c', started);
      await untilPrinted(this.#server, (output) => output.includes('http://'));
      return [{ command, output: this.#server.output }];
    }
    // It ends with 1 if there is a difference.
    if (words.startsWith('npx lkt diff '))
      return [{ command, output: this.run(`${words} || [ $? = 1 ]`) }];
    const script = words.startsWith('npx @lkt/cli init ')
      ? `${words.replace('@lkt/cli', `@lkt/cli@${this.#version}`)} --registry ${this.#images.prefix}`
      : words;
    return [{ command, output: this.run(script) }];
  }

  #start(program: string, ...words: readonly string[]): Running {
    const child = this.#release.registry.start(this.#env, this.#cwd, program, ...words);
    const running = { child, output: '' };
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (running.output += chunk.toString('latin1')));
    return running;
  }

  #write({ path, text, isPart }: Extract<GuideStep, { kind: 'file' }>): void {
    const file = join(this.#cwd, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, isPart ? withSection(readFileSync(file, 'utf8'), text) : text);
  }
}

/** Waits for the end of the boot. Returns the output so far. */
async function booted(machine: Running): Promise<string> {
  await untilPrinted(machine, (output) => output.includes('lkt: boot complete'));
  return machine.output;
}

async function untilPrinted(
  running: Running,
  isPrinted: (output: string) => boolean,
): Promise<void> {
  while (!isPrinted(running.output)) {
    if (running.child.exitCode !== null) throw new Error(`it has ended: ${running.output}`);
    await delay(100);
  }
}

async function stop(running: Running | undefined): Promise<void> {
  const { child } = running ?? {};
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGINT');
  await closed;
}

/** Adds the items of a section to the same section of a config. */
function withSection(config: string, part: string): string {
  const [title = '', ...items] = part.split('\n');
  const section = new RegExp(`^${title}\\n(?:(?: .*)?\\n)*`, 'm').exec(config)?.[0];
  if (section === undefined) throw new Error(`the config has no ${title}`);
  return config.replace(section, () => `${section}${items.join('\n')}`);
}

/** Adds a key to the agent once it listens. */
async function untilAdded(key: string, env: NodeJS.ProcessEnv): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      execFileSync('ssh-add', ['-q', key], { env, stdio: 'ignore' });
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(100);
    }
  }
}
