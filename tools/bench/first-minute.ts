/**
 * Measures what a new user does, with the packed npm packages: `npx @lkt/cli init`, `npm install`,
 * `lkt pin`, `lkt run` and a login over ssh, from an empty home. The images are in a registry on
 * this machine, or, with `--from-source`, built from source with Debian's kernel. Also `lkt
 * --version`, installed so, and builds of what the store has, next to those by this checkout.
 *
 *     node_modules/.bin/node tools/bench/first-minute.ts [--from-source] [--runs N] [--json]
 *
 * Needs root, docker-registry, cosign and QEMU. Builds what the registry serves if the store lacks
 * it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstMinute, serveImages } from '../test/release/first-minute.ts';
import { PublishedRelease } from '../test/release/published-release.ts';
import { root } from './measure.ts';

const { values } = parseArgs({
  options: {
    'from-source': { type: 'boolean', default: false },
    runs: { type: 'string', default: '1' },
    output: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

/** The program that npm has installed, in the directory of the system. */
const INSTALLED = 'node_modules/.bin/lkt';

for (let run = 0; run < Number(values.runs); run += 1) {
  const work = mkdtempSync(join(tmpdir(), 'lkt-minute-'));
  try {
    await using release = await PublishedRelease.prepare(work, '1.2.3');
    release.release();
    await using images = values['from-source'] ? undefined : await serveImages(release, work);
    const [load = 0] = loadavg();
    const { steps, output } = await firstMinute(release, images, work);
    if (values.output !== undefined) writeFileSync(values.output, output);
    const [version = 0] = medians(release, work, [INSTALLED], ['--version'], 21);
    const warm = ['build --dir out images/my-os.yml', 'pkg build pkg/hello'].map((line) => {
      const programs = [INSTALLED, join(root, 'lkt')];
      const [installed = 0, checkout = 0] = medians(release, work, programs, line.split(' '), 11);
      return { line, installed, checkout };
    });
    const total = steps.reduce((sum, { name, seconds }) => sum + (name === 'end' ? 0 : seconds), 0);
    const processor = steps.reduce((sum, step) => sum + step.processor, 0);
    const row = { processors: cpus().length, load, steps, total, processor, version, warm };
    if (values.json) process.stdout.write(`${JSON.stringify(row)}\n`);
    else {
      for (const step of steps) print(step.name, step.seconds, step.processor);
      const shown = `load ${load.toFixed(1)} on ${cpus().length} processors`;
      print('total', total, processor);
      process.stdout.write(`${shown}\n`);
      process.stdout.write(`lkt --version       ${version.toFixed(0).padStart(7)} ms\n`);
      for (const { line, installed, checkout } of warm)
        process.stdout.write(
          `lkt ${line}: ${installed.toFixed(0)} ms, from the checkout ${checkout.toFixed(0)} ms\n`,
        );
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Prints a step. The processor time of the machine is that of its end. */
function print(name: string, seconds: number, processor: number): void {
  const cells = [seconds, processor].map((value) => `${value.toFixed(1).padStart(7)} s`);
  process.stdout.write(`${name.padEnd(20)}${cells.join('')}\n`);
}

/**
 * Returns the median time of a command by each of several programs, in turns, with that of nsenter.
 * The first run of each does not count.
 */
function medians(
  { registry, user }: PublishedRelease,
  work: string,
  programs: readonly string[],
  words: readonly string[],
  runs: number,
): readonly number[] {
  const project = join(work, 'projects/my-os');
  const times = programs.map((): number[] => []);
  for (let run = 0; run <= runs; run += 1)
    for (const [index, program] of programs.entries()) {
      const start = performance.now();
      registry.run(user, project, program, ...words);
      if (run > 0) times[index]?.push(performance.now() - start);
    }
  return times.map((all) => all.toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0);
}
