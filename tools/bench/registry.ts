/**
 * Measures pushes and pulls of an image, next to skopeo and oras, with docker-registry on this
 * machine; and the verification of twelve images signed by an identity, next to cosign, in the
 * store (`verify`) and in the registry (`ask`), and of one in the store (`one`).
 *
 *     node_modules/.bin/node tools/bench/registry.ts [--runs N] [--json] [--only CASE,…]
 *         [--megabytes N] [--layers N]
 *
 * Needs docker-registry, skopeo, oras and cosign. Removes its temporary directory.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { digestOf } from '../../packages/core/src/index.ts';
import {
  type Layer,
  MediaType,
  openStore,
  parsePlatform,
  writeImage,
} from '../../packages/oci/src/index.ts';
import { startDockerRegistry } from '../../packages/testing/src/index.ts';
import { signedImages } from './signed-images.ts';
import { useOwnNode } from './own-node.ts';
import { measure, type Measurement, root, type Subject } from './measure.ts';

type Commands = Readonly<Record<string, readonly string[]>>;

const HEAD = `${''.padEnd(17)}${['median ms', 'least–most', 'CPU ms', 'peak MB', 'times lkt'].map((text) => text.padStart(12)).join('')}`;

useOwnNode();
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    megabytes: { type: 'string', default: '300' },
    layers: { type: 'string', default: '10' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const directory = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
try {
  const store = join(directory, 'store');
  const plain = join(directory, 'plain');
  await writeSample(store, plain);
  await using registry = await startDockerRegistry();
  const env = { PATH: process.env['PATH'] ?? '', HOME: join(directory, 'home') };
  mkdirSync(env.HOME);
  const remote = `${registry.host}/bench/app:1`;
  const target = join(directory, 'target');
  const lkt = [join(root, 'lkt'), 'cache'];
  const skopeo = ['skopeo', '--insecure-policy', 'copy', '--quiet', '--preserve-digests'];
  const oras = ['oras', 'copy', '--no-tty'];
  const subjects = (before: () => void, commands: Commands): Subject[] =>
    Object.entries(commands).map(([name, command]) => ({ name, command, env, before }));
  const forget = (): void => {
    empty(join(registry.storage, 'docker'))();
    // skopeo caches the locations of blobs.
    empty(join(env.HOME, '.local'))();
  };
  const push = subjects(forget, {
    lkt: [...lkt, 'push', 'bench/app:1', '--as', remote, '--quiet', '--cache', store],
    skopeo: [...skopeo, '--dest-tls-verify=false', `oci:${plain}:1`, `docker://${remote}`],
    oras: [...oras, '--to-plain-http', '--from-oci-layout', `${plain}:1`, remote],
  });
  const pull = subjects(empty(target), {
    lkt: [...lkt, 'pull', remote, '--quiet', '--cache', target],
    skopeo: [...skopeo, '--src-tls-verify=false', `docker://${remote}`, `oci:${target}:1`],
    oras: [...oras, '--from-plain-http', '--to-oci-layout', remote, `${target}:1`],
  });
  if (!values.json) process.stdout.write(`${HEAD}\n`);
  const rows: (Measurement & { readonly what: string })[] = [];
  await using signed = await signedImages(12, registry.host, directory, env);
  const [offline, online, peer, first] = signed.subjects;
  const one = first === undefined ? [] : [first];
  const verify = [offline, peer].flatMap((subject) => subject ?? []);
  const ask = [online, peer].flatMap((subject) => subject ?? []);
  for (const [what, these] of Object.entries({ one, verify, ask, push, pull })) {
    if (values.only?.split(',').includes(what) === false) continue;
    const found = await measure(these, Number(values.runs));
    rows.push(...found.map((row) => ({ what, ...row })));
    if (!values.json) print(what, found);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function empty(path: string): () => void {
  return () => rmSync(path, { recursive: true, force: true });
}

/**
 * Writes a store with the image, and a layout with the same blobs for tools that need a plain name.
 */
async function writeSample(path: string, plain: string): Promise<void> {
  const count = Number(values.layers);
  const size = Math.floor((Number(values.megabytes) * 1e6) / count);
  const store = await openStore(path);
  const layers: Layer[] = [];
  for (let layer = 0; layer < count; layer += 1) {
    // Incompressible; level 0 is fast to write.
    const content = randomBytes(size);
    const { digest, size: length } = await store.writeBytes(gzipSync(content, { level: 0 }));
    const descriptor = { mediaType: MediaType.layerGzip, digest, size: length };
    layers.push({ descriptor, diffId: digestOf(content) });
  }
  const platform = parsePlatform('linux/amd64');
  const image = await writeImage(store, { config: {}, layers, platform });
  await store.tag('docker.io/bench/app:1', image);
  execFileSync('cp', ['-al', path, plain]);
  const index = join(plain, 'index.json');
  const annotations = { 'org.opencontainers.image.ref.name': '1' };
  const document = { schemaVersion: 2, manifests: [{ ...image, annotations }] };
  rmSync(index);
  writeFileSync(index, JSON.stringify(document));
}

function print(what: string, rows: readonly Measurement[]): void {
  const ours = rows[0]?.median ?? 0;
  for (const { name, median, least, most, processor, memory } of rows) {
    const range = `${least.toFixed(0)}–${most.toFixed(0)}`;
    const cells = [median.toFixed(0), range, processor.toFixed(0), memory.toFixed(0)];
    const all = [...cells, (median / ours).toFixed(2)].map((cell) => cell.padStart(12));
    process.stdout.write(`${what.padEnd(8)}${name.padEnd(9)}${all.join('')}\n`);
  }
}
