/**
 * Measures `build` of a config from a registry into an empty store, and `pkg show-tag` of one
 * package, next to LinuxKit on the same images and sources.
 *
 *     node_modules/.bin/node tools/bench/linuxkit.ts --linuxkit PROGRAM [--runs N] [CONFIG]
 *
 * Prints the table of docs/benchmarks.md. Needs docker-registry, and the packages of CONFIG in the
 * store (`./lkt build` once). CONFIG defaults to examples/minimal.yml.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDockerRegistry } from '../../packages/testing/src/index.ts';
import { useOwnNode } from './own-node.ts';
import { measure, type Measurement, root, type Subject } from './measure.ts';

useOwnNode();
const { values, positionals } = parseArgs({
  options: { linuxkit: { type: 'string' }, runs: { type: 'string', default: '7' } },
  allowPositionals: true,
});
if (values.linuxkit === undefined) throw new Error('name the program of LinuxKit: --linuxkit');
const programs = { lkt: join(root, 'lkt'), linuxkit: resolve(values.linuxkit) };
const example = resolve(root, positionals[0] ?? 'examples/minimal.yml');
const dir = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
const env = { PATH: process.env['PATH'] ?? '', HOME: join(dir, 'home') };
mkdirSync(env.HOME);

try {
  await using registry = await startDockerRegistry();
  const config = pushed(registry.host);
  await table('`build`, empty store', [build('lkt', config), build('linuxkit', config)]);
  const sources = writePackage();
  await table('`pkg show-tag`', [showTag('lkt', sources), showTag('linuxkit', sources)]);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

/**
 * Pushes the images of the example, and returns a config that names them there: their names, the
 * sections and the command line, all that both programs know.
 */
function pushed(host: string): string {
  const text = readFileSync(example, 'utf8').replace(/^(?:trust|tests):\n(?: .*\n?)*/gm, '');
  const renamed = text.replaceAll(/\b(lkt\/\S+):(\S+)@(sha256:\S+)/g, (_, name, tag, digest) => {
    const there = `${host}/${name}:${tag}`;
    const from = `${name}:${tag}`;
    execFileSync(programs.lkt, ['cache', 'push', from, '--as', there, '--quiet']);
    return `${there}@${digest}`;
  });
  const file = join(dir, 'bench.yml');
  // Keys of lkt alone.
  writeFileSync(file, renamed.replaceAll(/^ +(?:restart|ready|after):.*\n/gm, ''));
  return file;
}

function build(program: keyof typeof programs, config: string): Subject {
  const cache = join(dir, `${program}-store`);
  const out = join(dir, `${program}-out`);
  mkdirSync(out);
  return {
    name: program,
    command: [programs[program], 'build', '--cache', cache, '--dir', out, config],
    env,
    before: () => rmSync(cache, { recursive: true, force: true }),
  };
}

/** Writes a git repository with a package of fifty files. */
function writePackage(): string {
  const sources = join(dir, 'sources');
  const place = join(sources, 'pkg/hello');
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'build.yml'), 'org: example\nimage: hello\n');
  writeFileSync(join(place, 'Dockerfile'), 'FROM scratch\nCOPY . /\n');
  for (let file = 0; file < 50; file += 1) writeFileSync(join(place, `file${file}`), `${file}\n`);
  const git = (...args: readonly string[]): void => {
    const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
    execFileSync('git', [...who, ...args], { cwd: sources });
  };
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'one');
  return sources;
}

function showTag(program: keyof typeof programs, cwd: string): Subject {
  const command = [programs[program], 'pkg', 'show-tag', 'pkg/hello'];
  return { name: program, command, cwd, env };
}

async function table(what: string, subjects: readonly Subject[]): Promise<void> {
  const rows = await measure(subjects, Number(values.runs));
  for (const row of rows) process.stdout.write(line(what, row));
}

function line(what: string, { name, median, least, processor, memory }: Measurement): string {
  const numbers = [median, least, processor, memory].map((number) => number.toFixed(0));
  return `| ${what} | ${name} | ${numbers.join(' | ')} |\n`;
}
