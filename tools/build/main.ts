/** `npm run build`: writes `dist/`, from which `lkt` runs while the sources are unchanged. */
import { hash } from 'node:crypto';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CLOCK_STEP_MS, inputAt, type Manifest, NODE, readManifest } from './manifest.ts';
import { buildNxPlugin } from './nx-plugin.ts';
import { buildPrograms, type Inputs } from './programs.ts';

const root = join(import.meta.dirname, '../..');
const dist = join(root, 'dist');

async function main(): Promise<void> {
  const start = Date.now();
  await setTimeout(CLOCK_STEP_MS);
  mkdirSync(dist, { recursive: true });
  const directory = mkdtempSync(join(dist, 'new-'));
  try {
    const inputs: Inputs = new Set(
      [
        ...globSync(['packages/*/package.json', 'tools/build/*.ts'], { cwd: root }),
        'node_modules/.lockfile-installed',
      ].map((path) => join(root, path)),
    );
    await buildPrograms(root, directory, inputs, { start: 'start.ts' });
    await buildNxPlugin(root, join(directory, 'nx-plugin'), inputs);
    put(directory, describe(inputs, start));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Time that former builds stay: a running lkt, such as a long build, may load parts of them. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/** Makes a finished build the current one. The previous one stays, and those of the last day. */
function put(directory: string, manifest: Manifest): void {
  const before = currentId();
  replace(join(directory, 'nx-plugin'), join(dist, 'nx-plugin'));
  renameSync(join(directory, 'lkt.cjs'), join(dist, 'lkt.cjs'));
  const written = join(directory, 'manifest.json');
  writeFileSync(written, `${JSON.stringify(manifest)}\n`);
  replace(directory, join(dist, manifest.id));
  renameSync(join(dist, manifest.id, 'manifest.json'), join(dist, 'manifest.json'));
  for (const name of readdirSync(dist)) {
    if (!BUILD.test(name) || name === manifest.id || name === before) continue;
    const former = join(dist, name);
    if (Date.now() - statSync(former).mtimeMs > KEPT_MS) rmSync(former, { recursive: true });
  }
  // Compiled code of files that are gone. Running commands may add files meanwhile.
  const compiled = join(root, 'node_modules/.cache/node');
  rmSync(compiled, { recursive: true, force: true, maxRetries: 10 });
}

const BUILD = /^[0-9a-f]{16}$/;

function currentId(): string | undefined {
  try {
    return readManifest(root).id;
  } catch {
    return undefined;
  }
}

/**
 * Puts a directory in the place of another file by file, so that a running program finds each file
 * at any time.
 */
function replace(from: string, to: string): void {
  const names = filesIn(from);
  for (const name of names) {
    mkdirSync(join(to, dirname(name)), { recursive: true });
    renameSync(join(from, name), join(to, name));
  }
  for (const name of filesIn(to)) if (!names.includes(name)) rmSync(join(to, name));
  rmSync(from, { recursive: true });
}

/** Returns the paths of all files in a directory and below. */
function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
}

/** @throws Error if an input was changed since the start */
function describe(inputs: Inputs, start: number): Manifest {
  const paths = [...inputs]
    .map((path) => relative(root, path))
    .filter((path) => !/^\.\.|^node_modules\/(?!\.lockfile)|\0/.test(path))
    .toSorted();
  const described = paths.map((path) => {
    const input = inputAt(join(root, path));
    if (input === undefined || input[2] > start)
      throw new Error(`${path} was changed during the build: run npm run build again`);
    return [path, input] as const;
  });
  const contents = described.map(([path, [, , , sha256]]) => [path, sha256]);
  const id = hash('sha256', JSON.stringify([NODE, contents])).slice(0, 16);
  return { id, node: NODE, inputs: Object.fromEntries(described) };
}

await main();
