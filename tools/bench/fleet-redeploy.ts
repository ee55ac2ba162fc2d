/**
 * Measures the redeploy of one node of the qemu provider: from the decision to create it until it
 * is ready. Each run has an image of its own.
 *
 *     node_modules/.bin/node tools/bench/fleet-redeploy.ts [--runs N] [--config FILE] [--port PORT]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './measure.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    config: { type: 'string', default: 'examples/redis.yml' },
    port: { type: 'string', default: '6379' },
  },
});
const program = join(root, 'lkt');
const dir = mkdtempSync(join(tmpdir(), 'lkt-redeploy-'));
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

let image = '';
try {
  lkt('build', '--locked', '--dir', dir, '--name', 'node', values.config);
  const seconds: number[] = [];
  for (let run = 0; run <= Number(values.runs); run += 1) {
    if (run > 0) appendFileSync(join(dir, 'node-cmdline'), ` lkt.redeploy=${run}`);
    image = lkt('fleet', 'image', join(dir, 'node'), `bench/redeploy:${run}`);
    const times = apply(image, 1);
    const taken = ((times.get('ready') ?? Number.NaN) - (times.get('create') ?? Number.NaN)) / 1000;
    process.stdout.write(`${run === 0 ? 'first' : 'redeploy'}: ${taken.toFixed(1)} s\n`);
    if (run > 0) seconds.push(taken);
  }
  const middle = seconds.toSorted((a, b) => a - b)[Math.floor(seconds.length / 2)] ?? 0;
  process.stdout.write(`median: ${middle.toFixed(1)} s\n`);
} finally {
  if (image !== '') apply(image, 0);
  rmSync(dir, { recursive: true, force: true });
}
