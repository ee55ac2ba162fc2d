import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ImageRegistry } from './first-minute.ts';
import type { PublishedRelease } from './published-release.ts';

const root = join(import.meta.dirname, '../../..');

/** A shell block of the tutorial, with what it printed. */
export interface Block {
  readonly text: string;
  readonly output: string;
}

/**
 * Runs the shell blocks of docs/tutorial.md in order, as a new user with the packed packages. There
 * are two differences: `lkt init` gets the registry of the images, and the machine runs without
 * npx, which does not pass on signals.
 * @param version of the release, which npm does not take by itself if it is a prerelease
 * @param work directory for files
 */
export async function runTutorial(
  { registry, user }: PublishedRelease,
  images: ImageRegistry,
  version: string,
  work: string,
): Promise<readonly Block[]> {
  const runtime = join(work, 'runtime');
  mkdirSync(runtime, { mode: 0o700 });
  mkdirSync(join(user.HOME, '.ssh'), { mode: 0o700 });
  const key = join(user.HOME, '.ssh/id_ed25519');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const env = {
    ...user,
    npm_config_yes: 'true',
    XDG_RUNTIME_DIR: runtime,
    SSH_AUTH_SOCK: join(runtime, 'agent'),
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  let cwd = join(work, 'tutorial');
  mkdirSync(cwd);
  // ssh looks for keys in the home of the user's account, whatever HOME is.
  const agent = spawn('ssh-agent', ['-D', '-a', env.SSH_AUTH_SOCK], { stdio: 'ignore' });
  const run = (text: string): Block => {
    // Names the directory in which the block ends.
    const script = `set -eu\nexec 2>&1\n${text}\npwd >'${join(work, 'cwd')}'\n`;
    const output = registry.run(env, cwd, 'bash', '-c', script);
    cwd = readFileSync(join(work, 'cwd'), 'utf8').trim();
    return { text, output };
  };
  const machines: { readonly child: ChildProcess; readonly block: Block }[] = [];
  const stop = async (): Promise<void> => {
    const { child } = machines.at(-1) ?? {};
    if (child === undefined || child.exitCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGINT');
    await closed;
  };
  try {
    await untilAdded(key, env);
    const done: Block[] = [];
    for (const text of blocks()) {
      if (text.startsWith('sudo apt-get install ')) continue;
      if (text.startsWith('npx @lkt/cli init ')) {
        const words = text.trim().replace('@lkt/cli', `@lkt/cli@${version}`).split('\n');
        const [first = '', ...rest] = words;
        done.push(run([`${first} --registry ${images.prefix}`, ...rest].join('\n')));
      } else if (text.startsWith('npx lkt run ')) {
        await stop();
        const command = text.replace('npx lkt', 'exec node_modules/.bin/lkt');
        const child = registry.start(env, cwd, 'bash', '-c', command);
        const block = { text, output: '' };
        machines.push({ child, block });
        done.push(block);
        for (const stream of [child.stdout, child.stderr])
          stream?.on('data', (chunk: Buffer) => (block.output += chunk.toString('latin1')));
        while (!block.output.includes('lkt: boot complete')) {
          if (child.exitCode !== null) throw new Error(`the machine has ended: ${block.output}`);
          await delay(100);
        }
      } else done.push(run(text));
    }
    return done;
  } catch (error) {
    const console = machines.map(({ block }) => block.output.slice(-4000)).join('\n');
    throw new Error(`${String(error)}\n${console}`, { cause: error });
  } finally {
    await stop();
    agent.kill();
  }
}

/** Returns the shell blocks of the tutorial. */
function blocks(): readonly string[] {
  const text = readFileSync(join(root, 'docs/tutorial.md'), 'utf8');
  return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => block);
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
