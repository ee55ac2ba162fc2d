/**
 * Measures workspaces of 30, 100 and 300 packages in five layers, next to `docker buildx bake`:
 * after no change, with one uncommitted file, after a change of a leaf, and of a base.
 *
 *     node_modules/.bin/node tools/bench/workspace.ts [--runs N] [--packages N,…] [--json]
 *         [--without-peers]
 *
 * Prints each row when it is measured, and at the end by which power of the number of packages time
 * and memory grow. Needs root and git, and dockerd with buildx for the peer. Removes its temporary
 * directory.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Dockerd, startDockerd } from '../../packages/buildkit/test/dockerd.ts';
import { useOwnNode } from './own-node.ts';
import { measure, type Measurement, root, type Subject } from './measure.ts';

/** Layers of packages; each package is on one of the layer below. */
const LAYERS = 5;

interface Row extends Measurement {
  readonly packages: number;
  readonly change: string;
}

useOwnNode();
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    packages: { type: 'string', default: '30,100,300' },
    json: { type: 'boolean', default: false },
    'without-peers': { type: 'boolean', default: false },
  },
});
const sizes = values.packages.split(',').map(Number);
const directory = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
const rows: Row[] = [];
try {
  await using dockerd = values['without-peers']
    ? undefined
    : await startDockerd(join(directory, 'docker'));
  for (const size of sizes) rows.push(...(await measureWorkspace(size, dockerd)));
  if (values.json) console.log(JSON.stringify({ rows, growth: growth() }, undefined, 2));
  else console.table(growth());
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function measureWorkspace(size: number, dockerd: Dockerd | undefined): Promise<Row[]> {
  const top = join(directory, `${size}`);
  writeWorkspace(top, size);
  const subjects: Subject[] = [
    {
      name: 'lkt',
      command: [join(root, 'lkt'), 'pkg', 'build', '--all', '--quiet', '--cache', `${top}-store`],
      cwd: top,
    },
  ];
  if (dockerd !== undefined) {
    const command = ['docker', 'buildx', 'bake', '--progress', 'quiet', '--file', 'bake.json'];
    const { environment: env, pid: server } = dockerd;
    subjects.push({ name: 'docker', command, cwd: top, env, server });
  }
  let round = 0;
  const edit = (name: string) => (): void => {
    round += 1;
    writeFileSync(join(top, 'pkg', name, 'file'), `${round}`);
  };
  const leaf = nameOf(LAYERS - 1, 0);
  const changes: readonly (readonly [string, number, (() => void)?])[] = [
    ['all, the first time', 1],
    ['nothing changed', Number(values.runs)],
    ['one leaf changed', Number(values.runs), edit(leaf)],
    ['nothing since', Number(values.runs)],
    ['one base changed', Number(values.runs), edit(nameOf(0, 0))],
  ];
  const found: Row[] = [];
  for (const [change, runs, before] of changes) {
    for (const row of await measure(
      subjects.map((subject) => ({ ...subject, ...(before && { before }) })),
      runs,
    )) {
      const { name, median, least, processor, memory } = row;
      const figures = [median, least, processor, memory].map((value) => value.toFixed(0));
      if (!values.json) console.log([size, change, name, ...figures].join('\t'));
      found.push({ packages: size, change, ...row });
    }
  }
  return found;
}

/** Writes a workspace, and a file for `docker buildx bake` that builds the same images. */
function writeWorkspace(top: string, size: number): void {
  const targets: Record<string, object> = {};
  const perLayer = size / LAYERS;
  for (let layer = 0; layer < LAYERS; layer += 1) {
    for (let index = 0; index < perLayer; index += 1) {
      const name = nameOf(layer, index);
      // Every second layer has two packages on each of some below, so that a base has twelve users.
      const below = nameOf(layer - 1, layer % 2 === 1 ? Math.floor(index / 2) : index);
      const base = layer === 0 ? undefined : below;
      const dir = join(top, 'pkg', name);
      mkdirSync(dir, { recursive: true });
      const args = base === undefined ? '' : `buildArgs: ["BASE=@lkt:pkg:../${base}"]\n`;
      writeFileSync(join(dir, 'build.yml'), `org: bench\nimage: ${name}\n${args}`);
      const from = base === undefined ? 'FROM scratch' : 'ARG BASE\nFROM ${BASE}';
      writeFileSync(join(dir, 'Dockerfile'), `${from}\nCOPY file /${name}\n`);
      writeFileSync(join(dir, 'file'), name);
      targets[name] = {
        context: `pkg/${name}`,
        tags: [`bench/${name}`],
        args: { SOURCE_DATE_EPOCH: '0', ...(base !== undefined && { BASE: 'base' }) },
        ...(base !== undefined && { contexts: { base: `target:${base}` } }),
      };
    }
  }
  const group = { default: { targets: Object.keys(targets) } };
  writeFileSync(join(top, 'bake.json'), JSON.stringify({ group, target: targets }));
  const git = (...args: readonly string[]): void => {
    const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
    execFileSync('git', [...who, ...args], { cwd: top, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'bench');
}

function nameOf(layer: number, index: number): string {
  return `layer${layer}-${index}`;
}

/** Returns by which power of the number of packages time and memory grow, from least to most. */
function growth(): readonly object[] {
  const few = Math.min(...sizes);
  const many = Math.max(...sizes);
  return rows
    .filter(({ packages }) => packages === many)
    .map(({ change, name, median, processor, memory }) => {
      const before = rows.find(
        (row) => row.packages === few && row.change === change && row.name === name,
      );
      const factor = many / few;
      return {
        change,
        name,
        ms: power(median, before?.median, factor),
        processor: power(processor, before?.processor, factor),
        memory: power(memory, before?.memory, factor),
      };
    });
}

function power(now: number, before = now, factor: number): string {
  return (Math.log(now / before) / Math.log(factor)).toFixed(2);
}
