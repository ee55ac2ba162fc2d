/**
 * Measures package builds, next to `docker buildx` and `buildah`.
 *
 *     node_modules/.bin/node tools/bench/builder.ts [--runs N] [--json] [--only CASE,…]
 *         [--without-peers]
 *
 * Prints each row when it is measured, and at the end the table of docs/benchmarks.md. Needs root,
 * git, dockerd with buildx, and buildah. Builds the base images first if the store lacks them.
 * Starts its own dockerd. Removes its temporary directory.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDockerd } from '../../packages/buildkit/test/dockerd.ts';
import { type Case, writeCases } from './builder-cases.ts';
import {
  type Base,
  buildah,
  buildBase,
  type Builder,
  docker,
  lkt,
  makeBase,
  type State,
  STATES,
} from './builder-peers.ts';
import { markdown, type PerCommand, type Row } from './builder-table.ts';
import { useOwnNode } from './own-node.ts';
import { measure, root } from './measure.ts';

useOwnNode();
const { values } = parseArgs({
  options: {
    base: { type: 'string', default: 'lkt/c' },
    runs: { type: 'string', default: '11' },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    'without-peers': { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const directory = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
try {
  if (values.base === 'lkt/c')
    execFileSync(join(root, 'lkt'), ['pkg', 'build', '--quiet', 'tools/c', 'tools/go-static'], {
      cwd: root,
    });
  const named = (name: string): Base =>
    makeBase(storeDirectory(), name, join(directory, `base-${name.replace('/', '-')}`));
  const only = values.only?.split(',');
  const cases = writeCases(directory, (name) => only?.includes(name) ?? true, {
    usual: named(values.base),
    named,
    built: (item) => buildBase(item, directory),
  });
  const ours = lkt(join(directory, 'stores'));
  if (values['without-peers']) {
    report(await rows(cases, [ours]), cases);
  } else {
    await using dockerd = await startDockerd(join(directory, 'docker'));
    const peers = [docker(dockerd.pid, dockerd.environment), buildah(join(directory, 'buildah'))];
    report(await rows(cases, [ours, ...peers]), cases);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Measures the cold state of each case first: the later states need its results. */
async function rows(cases: readonly Case[], builders: readonly Builder[]): Promise<Row[]> {
  const found: Row[] = [];
  if (!values.json) line('', '', 'median ms', 'least–most', 'CPU ms', 'peak MB', 'times lkt');
  for (const item of cases) {
    for (const state of STATES) {
      const subjects = builders.map((builder) => builder(item, state));
      const often = state === 'cold' ? Math.min(runs, 5) : runs;
      const measurements = await measure(subjects, often);
      const these = measurements.map((row) => ({ case: item.name, state, ...row }));
      if (!values.json) for (const row of these) rowLine(row, these[0] ?? row);
      found.push(...these);
    }
  }
  return found;
}

function line(...columns: readonly string[]): void {
  const [first = '', second = '', ...rest] = columns;
  const cells = rest.map((column) => column.padStart(12));
  process.stdout.write(`${first.padEnd(18)}${second.padEnd(9)}${cells.join('')}\n`);
}

function rowLine(row: Row, ours: Row): void {
  line(
    `${row.case} ${row.state}`,
    row.name,
    row.median.toFixed(0),
    `${row.least.toFixed(0)}–${row.most.toFixed(0)}`,
    row.processor.toFixed(0),
    row.memory.toFixed(0),
    (row.median / ours.median).toFixed(1),
  );
}

function report(found: readonly Row[], cases: readonly Case[]): void {
  const each = perCommand(found, cases);
  if (values.json) {
    const machine = { processors: cpus().length, model: cpus()[0]?.model, node: process.version };
    process.stdout.write(
      `${JSON.stringify({ machine, runs, rows: found, perCommand: each }, null, 2)}\n`,
    );
    return;
  }
  for (const { name, milliseconds } of each) line('per RUN', name, milliseconds.toFixed(0));
  process.stdout.write(`\n${markdown(found, each)}`);
}

/**
 * Returns the cost of a RUN step that does nothing: the time without cache minus the time when all
 * is cached, divided by the number of steps.
 */
function perCommand(found: readonly Row[], cases: readonly Case[]): readonly PerCommand[] {
  const steps = cases.find(({ name }) => name === 'steps');
  const of = (state: State): readonly Row[] =>
    found.filter((row) => row.case === 'steps' && row.state === state);
  return of('no-cache').map(({ name, median }) => {
    const idle = of('warm').find((row) => row.name === name)?.median ?? 0;
    return { name, milliseconds: (median - idle) / (steps?.commands ?? 1) };
  });
}

function storeDirectory(): string {
  const { settings } = JSON.parse(
    execFileSync(join(root, 'lkt'), ['env', '--json'], { encoding: 'utf8' }),
  ) as { readonly settings: readonly { readonly name: string; readonly value: string }[] };
  return settings.find(({ name }) => name === 'LKT_CACHE')?.value ?? '';
}
