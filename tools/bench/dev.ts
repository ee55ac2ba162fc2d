/**
 * Measures `lkt dev`: from the save of a changed service until QEMU starts with the new image, in a
 * repository of `lkt init`.
 *
 *     node_modules/.bin/node tools/bench/dev.ts [--lang go|c|shell]... [--runs N] [--json]
 *
 * Needs root and qemu-system-x86_64. The collection is that of this checkout, as npm would install
 * it. Builds what the store lacks. Removes its temporary directory.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { stageCollection } from '../release/collection.ts';
import { releaseOf } from '../release/release.ts';
import { root } from './measure.ts';
import { childrenByParent, processorTimeOf, treeTimeOf } from './processes.ts';

const { values } = parseArgs({
  options: {
    lang: { type: 'string', multiple: true, default: ['go', 'c', 'shell'] },
    runs: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});

/** The file with the text that the service writes. */
const SOURCES: Readonly<Record<string, string>> = {
  go: 'main.go',
  c: 'hello.c',
  shell: 'hello.sh',
};
/** A message of `lkt dev` when QEMU is about to start. */
const STARTS = ' was built and boots, after ';

interface Save {
  /** Milliseconds from the save. */
  readonly wall: number;
  /** Processor time of lkt and the build, without QEMU, in milliseconds. */
  readonly processor: number;
}

for (const language of values.lang) {
  const saves = await measured(language, Number(values.runs));
  if (values.json) process.stdout.write(`${JSON.stringify({ language, saves })}\n`);
  else {
    const cells = [saves.map(({ wall }) => wall), saves.map(({ processor }) => processor)].map(
      (numbers) => `${(median(numbers) / 1000).toFixed(2)} s`,
    );
    process.stdout.write(`| ${language.padEnd(5)} | ${cells.join(' | ')} |\n`);
  }
}

/** Saves a changed service again and again, each time after the machine has booted. */
async function measured(language: string, runs: number): Promise<readonly Save[]> {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-dev-'));
  const project = join(dir, 'my-os');
  const env = { ...process.env, NO_COLOR: '1', XDG_RUNTIME_DIR: dir };
  const call = (cwd: string, program: string, ...words: readonly string[]): unknown =>
    execFileSync(program, words, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] });
  const lkt = join(root, 'lkt');
  try {
    const settings = ['--template', 'minimal', '--ci', 'none', '--lang', language];
    call(dir, lkt, 'init', 'my-os', ...settings);
    // As npm installs it.
    const { directory } = await stageCollection(releaseOf(root, dir), undefined);
    mkdirSync(join(project, 'node_modules/@lkt'), { recursive: true });
    renameSync(directory, join(project, 'node_modules/@lkt/packages'));
    call(project, lkt, 'pin', '--quiet', 'images/my-os.yml');
    call(project, 'git', 'add', '--all');
    call(project, 'git', '-c', 'user.name=A', '-c', 'user.email=a@b.c', 'commit', '-qm', 'one');
    const child = spawn(lkt, ['dev', '--dir', join(dir, 'out'), 'images/my-os.yml'], {
      cwd: project,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      return await saveAndBoot(child, join(project, 'pkg/hello', SOURCES[language] ?? ''), runs);
    } finally {
      const closed = once(child, 'close');
      child.kill('SIGINT');
      await closed;
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function saveAndBoot(
  child: ChildProcess,
  source: string,
  runs: number,
): Promise<readonly Save[]> {
  let [console, said] = ['', ''];
  const starts: number[] = [];
  child.stdout?.on('data', (chunk: Buffer) => (console += chunk.toString('latin1')));
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    if (said.split(STARTS).length - 1 > starts.length) starts.push(performance.now());
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      if (child.exitCode !== null) throw new Error(`lkt dev has ended: ${said}`);
      await wait(5);
    }
  };
  const text = readFileSync(source, 'utf8');
  const saves: Save[] = [];
  for (let round = 0; round <= runs; round += 1) {
    await until(() => console.split('lkt: boot complete').length - 1 > round);
    // The process for the next build starts meanwhile.
    await wait(1000);
    const before = treeTimeOf(child.pid ?? 0);
    const start = performance.now();
    // No build before had this text.
    writeFileSync(source, text.replace(/"hello"/, `"hello ${Date.now()}"`));
    await until(() => starts.length > round + 1);
    // The old QEMU counts before and after, the new one not at all.
    const after = treeTimeOf(child.pid ?? 0) - machineTimeOf(child);
    saves.push({ wall: (starts[round + 1] ?? 0) - start, processor: after - before });
  }
  // The first build also compiles what later ones reuse.
  return saves.slice(1);
}

/** Returns the processor time of the QEMU that a process has started, if it has. */
function machineTimeOf({ pid = 0 }: ChildProcess): number {
  const found = (childrenByParent().get(pid) ?? []).find((child) =>
    /^[^\0]*qemu-system/.test(readFileSync(`/proc/${child}/cmdline`, 'latin1')),
  );
  return found === undefined ? 0 : processorTimeOf(found);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
