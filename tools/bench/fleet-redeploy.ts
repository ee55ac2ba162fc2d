/**
 * Measures the redeploy of one node of the qemu provider: from the decision to create it until it
 * is ready, with the processor time of its QEMU and of the controller. Each run has an image of its
 * own.
 *
 *     node_modules/.bin/node tools/bench/fleet-redeploy.ts [--runs N] [--config FILE] [--port PORT]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { root } from './measure.ts';
import { processorTime, processorTimeOf } from './processes.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    config: { type: 'string', default: 'examples/redis.yml' },
    port: { type: 'string', default: '6379' },
  },
});
const program = join(root, 'lkt');
await using guarded = guardedDirectory('lkt-redeploy-');
const { path: dir } = guarded;
const file = join(dir, 'fleet.yml');

function lkt(...args: readonly string[]): string {
  return execFileSync(program, args, { cwd: root, encoding: 'utf8' }).trim();
}

/** Writes the file with an image and a size, and returns the times of events of an apply. */
function apply(image: string, size: number): ReadonlyMap<string, number> {
  writeFileSync(
    file,
    `version: '1'
name: redeploy
providers:
  here: { qemu: { state: nodes } }
groups:
  node:
    provider: here
    image: ${image}
    size: ${size}
    template: { memory: 512M, publish: [${values.port}] }
    health: { tcp: ${values.port} }
    grace: 5s
`,
  );
  const args = ['fleet', 'apply', '--file', file];
  const { status, stderr } = spawnSync(program, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  const events = lines.map((line) => JSON.parse(line) as { kind: string; time: string });
  return new Map(events.map(({ kind, time }) => [kind, Date.parse(time)]));
}

/** Returns the processor time of the QEMU of the only node, in seconds. */
function machineTime(): number {
  const [name = ''] = readdirSync(join(dir, 'nodes/nodes'));
  const pid = Number(readFileSync(join(dir, 'nodes/nodes', name, 'pid'), 'utf8'));
  return processorTimeOf(pid) / 1000;
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

lkt('build', '--locked', '--dir', dir, '--name', 'node', values.config);
const taken: { readonly wall: number; readonly machine: number; readonly controller: number }[] =
  [];
for (let run = 0; run <= Number(values.runs); run += 1) {
  if (run > 0) appendFileSync(join(dir, 'node-cmdline'), ` lkt.redeploy=${run}`);
  const image = lkt('fleet', 'image', join(dir, 'node'), `bench/redeploy:${run}`);
  const before = processorTime();
  const times = apply(image, 1);
  const controller = (processorTime() - before) / 1000;
  const wall = ((times.get('ready') ?? Number.NaN) - (times.get('create') ?? Number.NaN)) / 1000;
  const result = { wall, machine: machineTime(), controller };
  process.stdout.write(`${run === 0 ? 'first' : 'redeploy'}: ${textOf(result)}\n`);
  if (run > 0) taken.push(result);
}
const median = {
  wall: middle(taken.map(({ wall }) => wall)),
  machine: middle(taken.map(({ machine }) => machine)),
  controller: middle(taken.map(({ controller }) => controller)),
};
process.stdout.write(`median: ${textOf(median)}\n`);

function textOf({ wall, machine, controller }: (typeof taken)[number]): string {
  return `${wall.toFixed(1)} s; ${machine.toFixed(1)} s of processor time of QEMU, ${controller.toFixed(1)} s of the controller`;
}
