/**
 * Measures a repository of 100 packages, through Nx and with lkt alone, after no change, after a
 * change of a package without dependents, and of one with ten dependents.
 *
 *     node_modules/.bin/node tools/bench/nx.ts [--runs N] [--json]
 *
 * Prints the times of whole processes, and how many packages they built. Removes its temporary
 * directory.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildNxPlugin } from '../build/nx-plugin.ts';
import { root } from './measure.ts';
import { processorTime } from './processes.ts';

/**
 * Numbers of packages without dependencies, of packages that depend on one of those, and of
 * packages that depend on one of the latter.
 */
const BASES = 10;
const MIDDLE = 30;
const LEAVES = 60;

interface Run {
  readonly wall: number;
  readonly processor: number;
  readonly builds: number;
}

interface Way {
  readonly name: string;
  readonly command: readonly string[];
  /** Returns how many packages were built, from the output. */
  readonly builds: (said: string) => number;
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const directory = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
const work = join(directory, 'work');
const bin = join(root, 'node_modules/.bin');
const ways: readonly Way[] = [
  {
    name: 'nx',
    command: [join(bin, 'nx'), 'run-many', '-t', 'pkg-build', '--output-style=static'],
    builds: (said) => [...said.matchAll(/^> nx run \S+$/gm)].length,
  },
  {
    name: 'lkt',
    command: [join(root, 'lkt'), 'pkg', 'build', '--all', '--json', '--quiet'],
    builds: (said) => {
      const { packages } = JSON.parse(said) as { packages: readonly { cached: boolean }[] };
      return packages.filter(({ cached }) => !cached).length;
    },
  },
];

try {
  for (const [path, text] of Object.entries(files())) write(path, text);
  await install();
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all');
  git('-c', 'user.name=b', '-c', 'user.email=b@example.org', 'commit', '--quiet', '--message=all');
  const results: { name: string; change: string; runs: readonly Run[] }[] = [];
  const first = ways.toReversed().map((way) => ({ name: way.name, run: run(way) }));
  for (const { name, run: one } of first)
    results.push({ name, change: 'all, the first time', runs: [one] });
  let round = 0;
  const changes: Readonly<Record<string, () => void>> = {
    'nothing changed': () => undefined,
    'one leaf changed': () => write('pkg/leaf0/file', `${(round += 1)}`),
    'one base changed': () => write('pkg/base0/file', `${(round += 1)}`),
  };
  for (const [change, make] of Object.entries(changes)) {
    const runs = ways.map((): Run[] => []);
    for (let count = 0; count < Number(values.runs); count += 1) {
      for (const [index, way] of ways.entries()) {
        // Each tool gets its own change: neither can use the other's build.
        make();
        runs[index]?.push(run(way));
        // Let the other tool build this change outside its own measurement.
        if (change !== 'nothing changed') run(ways[1 - index] ?? way);
      }
    }
    for (const [index, { name }] of ways.entries())
      results.push({ name, change, runs: runs[index] ?? [] });
  }
  const table = results.map(({ name, change, runs }) => ({
    name,
    change,
    median: middle(runs.map(({ wall }) => wall)),
    least: Math.round(Math.min(...runs.map(({ wall }) => wall))),
    processor: middle(runs.map(({ processor }) => processor)),
    builds: middle(runs.map(({ builds }) => builds)),
  }));
  if (values.json) console.log(JSON.stringify(table, undefined, 2));
  else console.table(table);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function files(): Readonly<Record<string, string>> {
  const found: Record<string, string> = {
    'nx.json': JSON.stringify({
      analytics: false,
      neverConnectToCloud: true,
      useDaemonProcess: false,
      parallel: 2,
      plugins: [{ plugin: '@lkt/nx-plugin', options: { lkt: join(root, 'lkt') } }],
    }),
    'package.json': '{ "name": "bench", "private": true }',
    '.gitignore': 'node_modules\n.nx\n',
  };
  const add = (name: string, base?: string): void => {
    const args = base === undefined ? '' : `buildArgs: ["BASE=@lkt:pkg:../${base}"]\n`;
    found[`pkg/${name}/build.yml`] = `org: bench\nimage: ${name}\n${args}`;
    const from = base === undefined ? 'FROM scratch' : 'ARG BASE\nFROM ${BASE}';
    found[`pkg/${name}/Dockerfile`] = `${from}\nCOPY file /${name}\n`;
    found[`pkg/${name}/file`] = name;
  };
  for (let index = 0; index < BASES; index += 1) add(`base${index}`);
  for (let index = 0; index < MIDDLE; index += 1) add(`middle${index}`, `base${index % BASES}`);
  for (let index = 0; index < LEAVES; index += 1) add(`leaf${index}`, `middle${index % MIDDLE}`);
  return found;
}

/** Installs the plugin as npm does, next to this checkout's npm packages. */
async function install(): Promise<void> {
  const modules = join(work, 'node_modules');
  mkdirSync(join(modules, '@lkt'), { recursive: true });
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@lkt') symlinkSync(join(root, 'node_modules', name), join(modules, name));
  await buildNxPlugin(root, join(modules, '@lkt/nx-plugin'), new Set());
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(work, path)), { recursive: true });
  writeFileSync(join(work, path), text);
}

function git(...args: readonly string[]): void {
  spawnSync('git', args, { cwd: work });
}

function run({ command, builds }: Way): Run {
  const [file = '', ...args] = command;
  const spent = processorTime();
  const start = process.hrtime.bigint();
  const { status, stdout, stderr } = spawnSync(file, args, {
    cwd: work,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: directory,
      LKT_CACHE: join(directory, 'store'),
      NX_ISOLATE_PLUGINS: 'false',
      NX_DAEMON: 'false',
    },
  });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`);
  const wall = Math.round(Number(process.hrtime.bigint() - start) / 1e6);
  return { wall, processor: processorTime() - spent, builds: builds(stdout) };
}

function middle(numbers: readonly number[]): number {
  return Math.round(numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0);
}
