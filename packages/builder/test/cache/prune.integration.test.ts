import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { openStore } from '@lkt/oci';
import { expect, test, vi } from 'vitest';
import { buildCacheAreas } from '../../src/index.ts';
import { build, scratch } from '../fixture.ts';

vi.setConfig({ testTimeout: 300_000 });

const SCRIPT = new URL('prune-build.ts', import.meta.url).pathname;

test('builds correct images in several processes while another one prunes', async () => {
  using alone = scratch();
  using shared = scratch();
  const expected = { a: await runBuild(alone.path, 'a'), b: await runBuild(alone.path, 'b') };
  const store = await openStore(shared.path);
  const over = new AbortController();
  const builders = Promise.all(
    (['a', 'b', 'a'] as const).map(async (name) => {
      for (let round = 0; round < 5; round += 1)
        expect(await runBuild(shared.path, name)).toBe(expected[name]);
    }),
  ).finally(() => over.abort());
  let removed = 0;
  const pruner = (async () => {
    while (!over.signal.aborted) {
      removed += (await store.prune(buildCacheAreas, { before: Infinity })).removed.length;
      await sleep(20);
    }
  })();
  await Promise.all([builders, pruner]);
  expect(removed).toBeGreaterThan(0);
  expect((await store.verify()).bad).toEqual([]);
  await store.prune(buildCacheAreas, { before: Infinity });
  expect(readdirSync(join(shared.path, 'blobs/sha256'))).toEqual([]);
  expect(readdirSync(join(shared.path, 'steps'))).toEqual([]);
});

test('leaves a valid store if processes are killed while they build or prune', async () => {
  using directory = scratch();
  const expected = await runBuild(directory.path, 'a');
  for (let round = 0; round < 6; round += 1) {
    const building = start(directory.path, round % 2 === 0 ? 'a' : 'b');
    await sleep(150 + round * 120);
    const store = await openStore(directory.path);
    const pruning = startPrune(directory.path);
    await sleep(round * 60);
    pruning.kill('SIGKILL');
    building.kill('SIGKILL');
    await Promise.all([closed(building), closed(pruning)]);
    await store.prune(buildCacheAreas, { before: Infinity });
    expect((await store.verify()).bad).toEqual([]);
    expect(await runBuild(directory.path, 'a')).toBe(expected);
  }
});

test('reruns a step whose layer was pruned, and no other', async () => {
  using directory = scratch();
  const dockerfile = 'FROM base AS one\nRUN echo 1 > /one\nFROM base\nCOPY --from=one /one /\n';
  const first = await build(directory.path, dockerfile);
  const store = await openStore(directory.path);
  await store.prune(buildCacheAreas, { before: Infinity, only: ({ area }) => area === 'layers' });
  const second = await build(directory.path, dockerfile);
  expect(second.ran).toContain('RUN echo 1 > /one');
  expect(second.descriptor).toEqual(first.descriptor);
  const third = await build(directory.path, dockerfile);
  expect(third.ran).toEqual([]);
});

test("removes files that only the user's namespace may enter, without root", async () => {
  using directory = scratch();
  const store = join(directory.path, 'store');
  mkdirSync(store);
  chownSync(store, 65534, 65534);
  const code = `import { openStore } from '@lkt/oci';
import { buildCacheAreas, removeDirectory } from '../../src/index.ts';
import { build } from '../fixture.ts';
const path = ${JSON.stringify(store)};
await build(path, 'FROM base\\nRUN mkdir /closed; echo 1 > /closed/file; chmod 0 /closed\\n');
const store = await openStore(path);
await store.prune(buildCacheAreas, { before: Infinity }, removeDirectory);`;
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const node = [process.execPath, '--no-warnings', '--input-type=module', '-e', code];
  execFileSync('setpriv', [...user, ...node], { cwd: import.meta.dirname });
  expect(readdirSync(join(store, 'layers/65534'))).toEqual([]);
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
});

test('removes the most recently used records last', async () => {
  using directory = scratch();
  const store = await openStore(directory.path);
  await build(directory.path, 'FROM base\nRUN echo 1 > /one\n');
  await sleep(30);
  await build(directory.path, 'FROM base\nRUN echo 2 > /two\n');
  await sleep(30);
  // Used again, but not rerun.
  await build(directory.path, 'FROM base\nRUN echo 1 > /one\n');
  const steps = { only: ({ area }: { area: string }) => area === 'steps' };
  await store.prune(buildCacheAreas);
  const { left } = await store.prune(buildCacheAreas, { dryRun: true });
  // One byte less than the total: one step is removed.
  expect(
    (await store.prune(buildCacheAreas, { keepBytes: left - 1, ...steps })).removed,
  ).toHaveLength(1);
  expect((await build(directory.path, 'FROM base\nRUN echo 1 > /one\n')).ran).toEqual([]);
  expect((await build(directory.path, 'FROM base\nRUN echo 2 > /two\n')).ran).toHaveLength(1);
});

function start(store: string, name: string): ChildProcess {
  return spawn(process.execPath, [SCRIPT, store, name], { stdio: ['ignore', 'pipe', 'inherit'] });
}

function startPrune(store: string): ChildProcess {
  const code = `import { openStore } from '@lkt/oci';
import { buildCacheAreas } from '../../src/index.ts';
const store = await openStore(${JSON.stringify(store)});
for (;;) await store.prune(buildCacheAreas, { before: Infinity });`;
  return spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: import.meta.dirname,
    stdio: 'ignore',
  });
}

async function runBuild(store: string, name: string): Promise<string> {
  const child = start(store, name);
  if (child.stdout === null) throw new Error('no output');
  const [output] = await Promise.all([text(child.stdout), closed(child)]);
  expect(child.exitCode).toBe(0);
  return output;
}

async function closed(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
}
