/**
 * Measures a plan and the passes of a controller for 10,000 nodes in memory, and the simulation of
 * 100,000 nodes for a year.
 *
 *     node_modules/.bin/node tools/bench/fleet.ts [--runs N] [--json]
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measure, root } from './measure.ts';
import { useOwnNode } from './own-node.ts';

interface Result {
  readonly plan: number;
  readonly pass: number;
  readonly memory: number;
}

/** Groups and their sizes. */
const SHAPES = [
  [1, 10_000],
  [500, 20],
] as const;

useOwnNode();
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const rows = SHAPES.map(([groups, size]) => {
  const results = Array.from({ length: runs }, () => controller(groups, size));
  const median = (key: keyof Result): number =>
    results.map((one) => one[key]).toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0;
  return {
    name: `${groups} × ${size} nodes`,
    plan: median('plan'),
    pass: median('pass'),
    memory: Math.max(...results.map(({ memory }) => memory)),
  };
});
const [year] = await measure(
  [{ name: 'simulated year', command: [join(root, 'lkt'), 'fleet', 'simulate', '--json'] }],
  Math.min(runs, 3),
);
if (values.json) process.stdout.write(`${JSON.stringify({ rows, year })}\n`);
else {
  for (const { name, plan, pass, memory } of rows)
    process.stdout.write(
      `${name}: plan ${plan.toFixed(0)} ms, pass ${pass.toFixed(0)} ms, ${memory.toFixed(0)} MB\n`,
    );
  const { median = 0, memory = 0 } = year ?? {};
  process.stdout.write(
    `simulated year of 100,000 nodes: ${(median / 1000).toFixed(1)} s, ${memory.toFixed(0)} MB\n`,
  );
}

function controller(groups: number, size: number): Result {
  const script = join(import.meta.dirname, 'fleet-controller.ts');
  const args = [script, String(groups), String(size)];
  return JSON.parse(execFileSync('/proc/self/exe', args, { encoding: 'utf8' })) as Result;
}
