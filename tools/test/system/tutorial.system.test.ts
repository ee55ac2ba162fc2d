import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { makeHome } from './helpers/guest.ts';
import { root } from './helpers/lkt.ts';

/**
 * Runs the shell blocks of docs/tutorial.md in order, as a new user would, with two differences:
 * npx runs this checkout, and the collection `lkt` is this checkout instead of the npm package.
 */
const dir = mkdtempSync(join(tmpdir(), 'lkt-tutorial-'));
const home = makeHome(join(dir, 'home'));
const bin = join(dir, 'bin');
mkdirSync(bin);
const npx = `#!/bin/sh
program=$1; shift
case "$program $1" in
  "@lkt/cli init") shift; set -- init --collection 'path:${root}' "$@" ;;
  "lkt "*) ;;
  *) echo "npx: $program $1" >&2; exit 1 ;;
esac
exec '${root}/lkt' "$@"
`;
writeFileSync(join(bin, 'npx'), npx, { mode: 0o755 });
writeFileSync(join(bin, 'npm'), '#!/bin/sh\n[ "$*" = install ]\n', { mode: 0o755 });
const env = {
  ...process.env,
  HOME: home,
  // The user's store, with its key: it has the packages.
  LKT_CACHE: process.env['LKT_CACHE'] ?? join(homedir(), '.cache/lkt'),
  XDG_STATE_HOME: process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local/state'),
  XDG_RUNTIME_DIR: dir,
  SSH_AUTH_SOCK: join(dir, 'agent'),
  PATH: `${bin}:${process.env['PATH'] ?? ''}`,
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
};

// ssh looks for keys in the home of the user's account, whatever HOME is.
const agent = spawn('ssh-agent', ['-D', '-a', env.SSH_AUTH_SOCK], { stdio: 'ignore' });

let cwd = dir;
let machine: ChildProcess | undefined;
let console = '';

afterAll(async () => {
  await stop();
  agent.kill();
  rmSync(dir, { recursive: true, force: true });
});

test('leads to a booted system, and boots a changed service', async () => {
  await vi.waitFor(() => run(`ssh-add '${join(home, '.ssh/id_ed25519')}'`));
  const text = readFileSync(join(root, 'docs/tutorial.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => block);
  const outputs: string[] = [];
  for (const block of blocks) {
    if (block.startsWith('sudo apt-get install ')) continue;
    if (block.startsWith('npx lkt run ')) await start(block);
    else outputs.push(run(block));
  }
  const logs = outputs.filter((output) => output.includes('hello'));
  expect(
    logs.some((output) => / hello hello$/m.test(output)),
    logs.join('\n'),
  ).toBe(true);
  expect(
    outputs.some((output) => / hello from my-os$/m.test(output)),
    logs.join('\n'),
  ).toBe(true);
  expect(outputs.some((output) => /^Linux 6\./m.test(output))).toBe(true);
}, 1_800_000);

/** Runs a block in the directory where the previous one ended. Returns its output. */
function run(block: string): string {
  const script = `set -eu\n${block}\npwd >'${join(dir, 'cwd')}'\n`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd,
    env,
    encoding: 'utf8',
  });
  expect(status, `${block}${stderr}${console.slice(-4000)}`).toBe(0);
  cwd = readFileSync(join(dir, 'cwd'), 'utf8').trim();
  return stdout;
}

/** Starts the machine of a block, in place of the previous one. */
async function start(block: string): Promise<void> {
  await stop();
  console = '';
  const child = spawn('bash', ['-c', `exec ${block}`], { cwd, env });
  machine = child;
  const booted = Promise.withResolvers<undefined>();
  const read = (data: Buffer): void => {
    console += data.toString('latin1');
    if (console.includes('lkt: boot complete')) booted.resolve(undefined);
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  child.once('exit', (code) => booted.reject(new Error(`ended with ${code}: ${console}`)));
  await booted.promise;
}

async function stop(): Promise<void> {
  const ended = machine;
  machine = undefined;
  if (ended === undefined || ended.exitCode !== null) return;
  ended.kill('SIGINT');
  await once(ended, 'exit');
}
