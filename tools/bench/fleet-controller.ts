/**
 * Runs the controller of a fleet over nodes in memory, half of them with an earlier image, and
 * prints times and the peak of memory as JSON. `fleet.ts` starts it.
 *
 *     node_modules/.bin/node tools/bench/fleet-controller.ts plan|run GROUPS SIZE
 */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fleetReport, reportLines } from '../../packages/cli/src/fleet/report.ts';
import { digestOf } from '@lkt/core';
import { applyMemoryPolicy } from '@lkt/core/memory';
import {
  FleetController,
  formatLabels,
  type Node,
  type NodeLabels,
  parseFleet,
  parseLabels,
  type Provider,
  specHash,
} from '@lkt/fleet';

/** A node as a provider lists it: its labels are texts. */
interface Listed {
  readonly id: string;
  readonly name: string;
  power: Node['power'];
  labels: Readonly<Record<string, string>>;
}

const PASSES = 20;
const PAUSE_MS = 100;
const START_MS = 250;
const MEGABYTE = 1e6;
const ADDRESSES = ['10.0.0.1'];
const NO_PORTS: Node['published'] = new Map();
const CONSOLE = Buffer.from('lkt: boot complete\n');
const [, , mode, ...numbers] = process.argv;
const [groups = 1, size = 10_000] = numbers.map(Number);
const [before, after] = [digestOf('before'), digestOf('after')];
const listed = new Map<string, Listed>();
const { signal } = new AbortController();

const provider: Provider = {
  capabilities: { fencing: false, console: true, volumes: true, metadata: true },
  prepare: async (image) => image.digest,
  create: async ({ name, labels }) => {
    listed.set(name, { id: name, name, power: 'running', labels: formatLabels(labels) });
  },
  destroy: async (id) => {
    listed.delete(id);
  },
  list: async () =>
    [...listed.values()].map(({ id, name, power, labels }) => {
      const parsed = parseLabels(labels);
      if (parsed === undefined) throw new Error(`the labels of ${name} are damaged`);
      return { id, name, power, labels: parsed, addresses: ADDRESSES, published: NO_PORTS };
    }),
  label: async (id, labels) => {
    const node = listed.get(id);
    if (node !== undefined) node.labels = formatLabels(labels);
  },
  console: async () => CONSOLE,
  [Symbol.asyncDispose]: async () => undefined,
};

const text = `version: "1"
name: bench
providers:
  here: { qemu: {} }
groups:
${Array.from(
  { length: groups },
  (_, index) => `  g${index}:
    provider: here
    image: web@${after}
    size: ${size}
    roll: { surge: 10% }
    expire: { after: 30d }
`,
).join('')}`;
const controller = new FleetController({
  fleet: parseFleet({ path: 'fleet.yml', text }),
  providers: new Map([['here', provider]]),
  openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
  logDir: tmpdir(),
  onEvent: () => undefined,
});
// V8's policy has begun when a controller has its first list.
applyMemoryPolicy('stream');
await sleep(START_MS);
fill();
if (mode === 'plan') await plan();
else await run();

/** Observes once, and makes the lines that a user reads. */
async function plan(): Promise<void> {
  const start = performance.now();
  const used = process.cpuUsage();
  const pass = await controller.observe(signal);
  const report = fleetReport('bench', controller.specs, pass, Date.now());
  const lines = reportLines(report).length;
  print({ plan: performance.now() - start, processor: processorMs(used) });
  if (lines < groups * size) throw new Error(`${lines} lines are too few`);
}

/** Makes passes, as a controller does in the middle of a roll. */
async function run(): Promise<void> {
  const times: number[] = [];
  const processors: number[] = [];
  for (let index = 0; index < PASSES; index += 1) {
    await sleep(PAUSE_MS);
    const begun = performance.now();
    const used = process.cpuUsage();
    await controller.pass({ generation: 1, signal });
    times.push(performance.now() - begun);
    processors.push(processorMs(used));
  }
  print({ pass: middle(times), processor: middle(processors) });
}

function middle(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[PASSES / 2] ?? 0;
}

/** Returns the processor time of all threads since then. */
function processorMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** Prints a result, with the peak of memory in MB. */
function print(result: object): void {
  const [, peak = '0'] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const memory = (Number(peak) * 1024) / MEGABYTE;
  process.stdout.write(`${JSON.stringify({ ...result, memory })}\n`);
}

/** Adds the nodes: every second has the earlier image. */
function fill(): void {
  const now = Date.now();
  for (const { name: group, template } of controller.specs.values())
    for (let index = 0; index < size; index += 1) {
      const image = index % 2 === 0 ? before : after;
      const spec = specHash(image, template);
      const name = `${group}-${spec.slice(0, 8)}-${index}`;
      const created = now - index * 60_000;
      const labels: NodeLabels = {
        fleet: 'bench',
        group,
        spec,
        specVersion: 1,
        image,
        template,
        generation: 1,
        attempt: 0,
        created,
        ready: created + 30_000,
      };
      listed.set(name, { id: name, name, power: 'running', labels: formatLabels(labels) });
    }
}
