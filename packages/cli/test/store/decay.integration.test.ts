import { execFileSync } from 'node:child_process';
import { globSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SmallWorkspace } from './small-workspace.ts';

vi.setConfig({ testTimeout: 900_000, hookTimeout: 600_000 });

const cleanup = new AsyncDisposableStack();
afterAll(async () => cleanup.disposeAsync());

let workspace: SmallWorkspace;
let honest: Readonly<Record<string, string>>;

beforeAll(async () => {
  const { path } = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'lkt-decay-')));
  workspace = new SmallWorkspace(path);
  await workspace.write('store');
  // Twice, so that the store also has what a repeated build leaves.
  for (let round = 0; round < 2; round += 1)
    expect((await workspace.build('store', 'out')).status).toBe(0);
  honest = workspace.digestsIn('out');
  expect(Object.keys(honest)).not.toEqual([]);
});

/** Returns the files of a store by kind: by the path without its digests and numbers. */
function filesByKind(): ReadonlyMap<string, readonly string[]> {
  const store = workspace.at('store');
  const files = globSync('**/*', { cwd: store, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => relative(store, join(item.parentPath, item.name)))
    .filter((path) => lstatSync(join(store, path)).size > 0 && !path.startsWith('logs/'));
  return Map.groupBy(files.toSorted(), (path) =>
    path
      .replaceAll(/[0-9a-f]{64}/g, 'DIGEST')
      // The files of an unpacked layer and of a cache mount are the image's.
      .replace(/^(layers|mounts)\/.*/, '$1'),
  );
}

/** The kinds of files that a used store has at least. */
const KINDS = [
  'attestations/contents/DIGEST',
  'attestations/owners/DIGEST',
  'attestations/records/DIGEST',
  'blobs/sha256/DIGEST',
  'contents/DIGEST',
  'contents/DIGEST.audit',
  'contents/DIGEST.sum',
  'index.json',
  'layers',
  'mounts',
  'oci-layout',
  'results/DIGEST',
  'segments/DIGEST',
  'segments/DIGEST.known',
  'segments/DIGEST.sum',
  'size.json',
  'sizes.json',
  'steps/DIGEST.json',
];

/** Kinds of which two files are tried. */
const TWICE = /^(?:blobs|contents)\b/;
/** Kinds that only a build of packages reads. */
const OF_PACKAGES = /^(?:blobs|index|layers|mounts|steps)\b/;

/** Inverts the lowest bit of the byte in the middle. */
function flip(path: string): void {
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** Copies the store, and flips a bit of a file in the copy. */
function damaged(file: string, name: string): string {
  const store = `store-${name.replaceAll(/\W+/g, '-')}`;
  copyStore(store);
  flip(workspace.at(store, file));
  return store;
}

/** Copies the store with owners, times and hard links, as `cache verify` compares them. */
function copyStore(name: string): void {
  execFileSync('cp', ['-a', workspace.at('store'), workspace.at(name)]);
}

test('a flipped bit never changes an image: the build succeeds, or fails with a fix that works', async () => {
  const kinds = filesByKind();
  expect([...kinds.keys()]).toEqual(expect.arrayContaining(KINDS));
  const failed = new Set<string>();
  for (const [kind, files] of kinds) {
    const tried = new Set([files[0] ?? '', ...(TWICE.test(kind) ? [files.at(-1) ?? ''] : [])]);
    for (const [index, file] of [...tried].entries()) {
      const store = damaged(file, `${kind}-${index}`);
      const output = `out-${store}`;
      const outcome = OF_PACKAGES.test(kind)
        ? await workspace.build(store, output)
        : await workspace.lkt(store, workspace.imageCommand(output));
      if (outcome.status !== 0) {
        failed.add(kind);
        expect(outcome.status, file).toBe(1);
        expect(outcome.stderr, file).toMatch(/^error: .*\n(?:.*\n)*? {2}fix: /m);
        expect(outcome.stderr, file).not.toMatch(/^\s+at /m);
        const [command] = /(?<=^ {2}fix: .*again: ).*/m.exec(outcome.stderr) ?? [];
        if (command === undefined) await workspace.lkt(store, ['cache', 'verify', '--remove']);
        else execFileSync('sh', ['-c', command]);
        const again = await workspace.build(store, output);
        expect(again.stderr, `${file}\n${outcome.stderr}`).not.toMatch(/^error/m);
      }
      expect(workspace.digestsIn(output), file).toEqual(honest);
      for (const name of [store, output])
        rmSync(workspace.at(name), { recursive: true, force: true });
    }
  }
  // A blob is read only if nothing derived from it is left. The bit in the index may make a digest
  // invalid. All others are made again at once.
  for (const kind of ['blobs/sha256/DIGEST', 'index.json']) failed.delete(kind);
  expect([...failed]).toEqual(['oci-layout']);
});

test('a damaged index loses the names of images, and no step', async () => {
  copyStore('store-index');
  writeFileSync(workspace.at('store-index', 'index.json'), '{"schemaVersion":');
  const failed = await workspace.build('store-index', 'out-index');
  expect(failed.status).toBe(1);
  const [command = ''] = /(?<=^ {2}fix: .*again: )rm .*/m.exec(failed.stderr) ?? [];
  execFileSync('sh', ['-c', command]);
  const { stderr } = await workspace.build('store-index', 'out-index');
  expect(stderr).not.toMatch(/^error/m);
  expect(stderr).toContain('2 steps');
  expect(workspace.digestsIn('out-index')).toEqual(honest);
});

test('cache verify names a damaged layer, which the next build unpacks again', async () => {
  copyStore('store-verify');
  expect((await workspace.lkt('store-verify', ['cache', 'verify'])).stderr).not.toMatch(/^error/m);
  rmSync(workspace.at('store-verify'), { recursive: true });
  const file = filesByKind().get('layers')?.[0] ?? '';
  const store = damaged(file, 'verify');
  const found = await workspace.lkt(store, ['cache', 'verify']);
  expect(found.status).toBe(1);
  expect(found.stderr).toContain(file.split('/').slice(0, 3).join('/'));
  expect((await workspace.lkt(store, ['cache', 'verify', '--remove'])).status).toBe(0);
  expect((await workspace.lkt(store, ['cache', 'verify'])).status).toBe(0);
  const built = await workspace.lkt(store, ['pkg', 'build', '--no-cache', '--force', 'pkg/app']);
  expect(built.stderr).not.toMatch(/^error/m);
  expect((await workspace.build(store, 'out-verify')).status).toBe(0);
  expect(workspace.digestsIn('out-verify')).toEqual(honest);
});
