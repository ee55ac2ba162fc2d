import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { main } from './program.ts';

/** A process that ends in order 1.5 s after the first signal, or at once after the second. */
const script = `
  const { abortOnInterrupt } = await import(${JSON.stringify(import.meta.resolve('../src/session/interrupt.ts'))});
  const signal = abortOnInterrupt(() => console.log('second'));
  const alive = setInterval(() => undefined, 1000);
  signal.addEventListener('abort', () => {
    console.log(signal.reason.code);
    setTimeout(() => { clearInterval(alive); console.log('in order'); process.exit(3); }, 1500);
  });
  console.log('ready');`;

interface Ended {
  readonly output: string;
  readonly code: number | null;
  readonly signal: string | null;
}

async function run(signals: number, program = script): Promise<Ended> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
  let output = '';
  let sent = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (sent < signals) child.kill('SIGINT');
    sent += 1;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { output, code, signal };
}

test('lets work end in order after the first Ctrl-C', async () => {
  expect(await run(1)).toEqual({ output: 'ready\nINTERRUPTED\nin order\n', code: 3, signal: null });
});

const AT_ONCE = { output: 'ready\nINTERRUPTED\nsecond\n', code: null, signal: 'SIGINT' };

test('ends the process at once after the second Ctrl-C', async () => {
  expect(await run(2)).toEqual(AT_ONCE);
});

test('ends after the second Ctrl-C while it waits for the writer of a named pipe', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-interrupt-'));
  const pipe = join(dir.path, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const reading = `import('node:fs/promises').then(({ readFile }) => readFile(${JSON.stringify(pipe)}));`;
  expect(await run(2, reading + script)).toEqual(AT_ONCE);
});

test.each(['init', 'bwrap', 'runc', 'crun'])(
  'Ctrl-C ends several builds at once, and leaves nothing running or mounted: %s',
  async (executor) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-interrupt-'));
    const names = ['one', 'two', 'three'];
    for (const name of names) writePackage(join(dir.path, 'pkg', name), name);
    const store = join(dir.path, 'store');
    const flags = ['--progress=plain', '--jobs=3', '--max-memory=1G', `--executor=${executor}`];
    const child = spawn(
      process.execPath,
      [main, 'pkg', 'build', ...flags, ...names.map((name) => `pkg/${name}`)],
      { cwd: dir.path, env: { PATH: process.env['PATH'], LKT_CACHE: store, HOME: dir.path } },
    );
    const output = outputOf(child);
    const ended = once(child, 'close');
    await vi.waitFor(
      () => {
        for (const name of names) expect(output()).toContain(`| at work on ${name}`);
      },
      { timeout: 60_000, interval: 50 },
    );
    expect(workOf(dir.path)).not.toEqual([]);
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect(output()).toContain('error: stopped by SIGINT');
    await vi.waitFor(() => expect(workOf(dir.path)).toEqual([]), { timeout: 60_000 });
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(dir.path);
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  },
);

function writePackage(path: string, name: string): void {
  mkdirSync(path, { recursive: true });
  for (const program of ['sh', 'sleep']) copyFileSync('/bin/busybox', join(path, program));
  writeFileSync(join(path, 'build.yml'), `org: example\nimage: ${name}\narches: [amd64]\n`);
  const command = `echo at work on ${name}; sleep 1000 & sleep 1000`;
  const text = `FROM scratch\nCOPY --chmod=755 sh sleep /bin/\nRUN ${command}\n`;
  writeFileSync(join(path, 'Dockerfile'), text);
}

function outputOf({ stdout, stderr }: ChildProcess): () => string {
  let text = '';
  for (const stream of [stdout, stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  return () => text;
}

/** Returns the processes that see the mounts of a build below a directory. */
function workOf(directory: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/mounts`, 'utf8').includes(directory);
    } catch {
      return false;
    }
  });
}
