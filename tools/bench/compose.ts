/**
 * Measures the time and memory of composing, next to `cpio | zstd` over the same files: the minimum
 * work of any tool without a cache.
 *
 *     node_modules/.bin/node tools/bench/compose.ts [--runs N] [--large] [CONFIG]
 *
 * Prints the table of docs/benchmarks.md. Needs cpio and zstd, and the packages of CONFIG in the
 * store (`./lkt build` once). CONFIG defaults to examples/sshd.yml. `--large` also measures an
 * image of 2 GiB.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openStore, type Store, writeImage, writeIndex, writeLayer } from '@lkt/oci';
import { useOwnNode } from './own-node.ts';
import { measure, type Measurement, root, type Subject } from './measure.ts';

useOwnNode();
const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '7' }, large: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const runs = Number(values.runs);
const config = resolve(root, positionals[0] ?? 'examples/sshd.yml');
const dir = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
/** A copy of the user's store, which keeps its caches. */
const cache = join(dir, 'store');
const env = { ...process.env, LKT_CACHE: cache } as Readonly<Record<string, string>>;
const plain = join(root, 'node_modules/.cache', `${basename(dir)}.yml`);
const MIB = 2 ** 20;

try {
  await main();
} finally {
  rmSync(plain, { force: true });
  rmSync(dir, { recursive: true, force: true });
}

async function main(): Promise<void> {
  copyStore();
  const store = await openStore(cache);
  // The config without `trust`, as the images of this benchmark have no signatures. In the
  // checkout, because it refers to packages by path.
  mkdirSync(dirname(plain), { recursive: true });
  writeFileSync(plain, readFileSync(config, 'utf8').replace(/^trust:\n(?: .*\n?)*/m, ''));
  await table(await subjects(store, [plain]));
  if (!values.large) return;
  const large = join(dir, 'large.yml');
  writeFileSync(large, await service(store, 'large', 2048));
  process.stdout.write('\nWith a service of 2 GiB:\n\n');
  await table(await subjects(store, [plain, large]), 1);
}

function copyStore(): void {
  const { settings } = JSON.parse(
    execFileSync(join(root, 'lkt'), ['env', '--json'], { encoding: 'utf8' }),
  ) as { readonly settings: readonly { readonly name: string; readonly value: string }[] };
  const from = settings.find(({ name }) => name === 'LKT_CACHE')?.value ?? '';
  mkdirSync(cache);
  const areas = ['blobs', 'index.json', 'oci-layout', 'results', 'attestations', 'contents'];
  for (const name of areas)
    if (existsSync(join(from, name)))
      cpSync(join(from, name), join(cache, name), { recursive: true });
}

async function subjects(store: Store, configs: readonly string[]): Promise<readonly Subject[]> {
  const changed = join(dir, 'changed.yml');
  const build = (name: string, ...files: readonly string[]): readonly string[] => {
    const to = ['--quiet', '--dir', dir, '--name', name];
    return [join(root, 'lkt'), 'build', ...to, ...configs, ...files];
  };
  const tree = join(dir, 'tree');
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
  const [lkt = '', ...args] = build('bench');
  execFileSync(lkt, [...args, '--format', 'tar'], { env });
  const options = ['--exclude=boot', '--warning=no-unknown-keyword'];
  execFileSync('tar', ['-xf', join(dir, 'bench.tar'), '-C', tree, ...options]);
  rmSync(join(dir, 'bench.tar'));
  // Fills the caches as `lkt pkg build` does.
  execFileSync(lkt, build('bench').slice(1), { env });
  const forget = (name: string, ...areas: readonly string[]): void => {
    for (const area of areas) rmSync(join(cache, area), { recursive: true, force: true });
    for (const file of ['kernel', 'initrd.img', 'cmdline'])
      rmSync(join(dir, `${name}-${file}`), { force: true });
  };
  const services = await prepared(store, runs + 2);
  const pipe =
    'find . | LC_ALL=C sort | cpio -o -H newc --quiet | zstd -q -3 -T2 -f -o ../peer.img';
  return [
    {
      name: 'from layers alone',
      command: build('layers'),
      env,
      before: () => forget('layers', 'segments', 'contents'),
    },
    {
      name: 'cold: all from the store',
      command: build('cold'),
      env,
      before: () => forget('cold', 'segments'),
    },
    {
      name: 'one package of 1 MB changed',
      command: build('changed', changed),
      env,
      before: () => writeFileSync(changed, services.pop() ?? ''),
    },
    { name: 'nothing changed', command: build('changed', changed), env },
    { name: 'cpio | zstd -3 -T2', command: ['sh', '-c', pipe], cwd: tree },
  ];
}

/** Makes `count` different packages of 1 MB, one per run. */
async function prepared(store: Store, count: number): Promise<string[]> {
  const services: string[] = [];
  for (let index = 0; index < count; index += 1)
    services.push(await service(store, `changed${index}`, 1));
  return services;
}

/** Returns the config lines of a service with an image of `mib` MiB, half of it random bytes. */
async function service(store: Store, name: string, mib: number): Promise<string> {
  async function* content(): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < mib; done += 1) {
      yield randomBytes(MIB / 2);
      yield Buffer.alloc(MIB / 2, 'what programs are made of, too ');
    }
  }
  const base = { mode: 0o755, uid: 0, gid: 0, mtime: 0 } as const;
  const layer = await writeLayer(store, [
    { ...base, path: 'program', type: 'file', size: mib * MIB, content: content() },
  ]);
  const platform = { os: 'linux', architecture: 'amd64' };
  const image = { config: { config: { Cmd: ['/program'] } }, layers: [layer], platform };
  const written = await writeIndex(store, [await writeImage(store, image)]);
  await store.tag(`docker.io/bench/${name}:1`, written);
  const { digest } = written;
  return `services:\n  - {name: ${name}, image: "bench/${name}:1@${digest}"}\n`;
}

async function table(measured: readonly Subject[], times = runs): Promise<void> {
  const rows = await measure(measured, times);
  const peer = rows.at(-1)?.median ?? 0;
  process.stdout.write(
    `| composing | ms | least | × cpio | processor ms | cores | MB |\n| --- | --: | --: | --: | --: | --: | --: |\n`,
  );
  for (const row of rows) process.stdout.write(line(row, peer));
}

function line({ name, median, least, processor, memory }: Measurement, peer: number): string {
  const numbers = [
    median.toFixed(0),
    least.toFixed(0),
    (median / peer).toFixed(2),
    processor.toFixed(0),
    (processor / median).toFixed(1),
    memory.toFixed(0),
  ];
  return `| ${name} | ${numbers.join(' | ')} |\n`;
}
