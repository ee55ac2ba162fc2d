/**
 * Measures a plan and the passes of a controller for 10,000 nodes in memory, and the simulation of
 * 100,000 nodes for a year.
 *
 *     node_modules/.bin/node tools/bench/fleet.ts [--runs N] [--json]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rolldown } from 'rolldown';
import { MALLOC_ENVIRONMENT, MEMORY_POLICY } from '../../packages/core/src/memory.ts';
import { measure, root } from './measure.ts';
import { useOwnNode } from './own-node.ts';

interface Result {
  readonly plan?: number;
  readonly pass?: number;
  /** Milliseconds of processor time of the plan or the pass. */
  readonly processor: number;
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
const directory = join(root, 'node_modules/.cache/fleet-bench');
mkdirSync(directory, { recursive: true });
const bundle = await rolldown({
  input: join(import.meta.dirname, 'fleet-controller.ts'),
  platform: 'node',
  tsconfig: false,
  treeshake: { moduleSideEffects: (id) => !/\/packages\/[\w-]+\/src\//.test(id) },
});
await bundle.write({ dir: directory, format: 'esm' });
await bundle.close();
const rows = SHAPES.map(([groups, size]) => {
  const plans = Array.from({ length: runs }, () => child('plan', groups, size));
  const passes = Array.from({ length: runs }, () => child('run', groups, size));
  return {
    name: `${groups} × ${size} nodes`,
    plan: middle(plans.map(({ plan = 0 }) => plan)),
    pass: middle(passes.map(({ pass = 0 }) => pass)),
    planProcessor: middle(plans.map(({ processor }) => processor)),
    passProcessor: middle(passes.map(({ processor }) => processor)),
    memory: Math.max(...passes.map(({ memory }) => memory)),
  };
});
rmSync(directory, { recursive: true });
if (!values.json)
  for (const { name, plan, pass, planProcessor, passProcessor, memory } of rows)
    process.stdout.write(
      `${name}: plan ${plan.toFixed(0)} ms (${planProcessor.toFixed(0)} ms of processor time), pass ${pass.toFixed(0)} ms (${passProcessor.toFixed(0)} ms), ${memory.toFixed(0)} MB\n`,
    );
const [year] = await measure(
  [{ name: 'simulated year', command: [join(root, 'lkt'), 'fleet', 'simulate', '--json'] }],
  Math.min(runs, 3),
);
if (values.json) process.stdout.write(`${JSON.stringify({ rows, year })}\n`);
else {
  const { median = 0, memory = 0, processor = 0 } = year ?? {};
  process.stdout.write(
    `simulated year of 100,000 nodes: ${(median / 1000).toFixed(1)} s, ${(processor / 1000).toFixed(1)} s of processor time, ${memory.toFixed(0)} MB\n`,
  );
}

/** Runs the bundle as lkt runs: with its limits of memory. */
function child(mode: 'plan' | 'run', groups: number, size: number): Result {
  const heap = `--max-semi-space-size=${MEMORY_POLICY.stream.semiSpaceMib}`;
  const script = join(directory, 'fleet-controller.js');
  const args = [heap, script, mode, String(groups), String(size)];
  const env = { ...process.env, ...MALLOC_ENVIRONMENT.command };
  // The name of this program is gone: see useOwnNode.
  return JSON.parse(execFileSync('/proc/self/exe', args, { encoding: 'utf8', env })) as Result;
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
