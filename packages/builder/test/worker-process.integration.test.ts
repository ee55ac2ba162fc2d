import { join } from 'node:path';
import { openStore } from '@lkt/oci';
import { expect, test } from 'vitest';
import { WorkerProcess } from '../src/worker/worker-process.ts';
import { KeptWorkers, nativeEngine } from '../src/index.ts';
import { build, leftovers, scratch, TEST_KEY } from './fixture.ts';

const TEXT = 'FROM base\nRUN echo 1 > /one\n';

async function storeIn(directory: string): Promise<string> {
  const { dir } = await openStore(join(directory, 'store'));
  return dir;
}

test('uses a worker that was started early for one build, and starts others', async () => {
  using directory = scratch();
  const store = await storeIn(directory.path);
  await using worker = WorkerProcess.start({ store, key: TEST_KEY });
  const engine = nativeEngine({ waiting: worker });
  const first = await build(store, TEXT, { engine });
  expect(first.ran).toHaveLength(1);
  expect(worker.child.exitCode).toBe(0);
  const second = await build(store, TEXT, { engine, noCache: true });
  expect(second.ran).toHaveLength(1);
  expect(second.descriptor).toEqual(first.descriptor);
  expect(leftovers(store)).toEqual([]);
});

test('uses a worker only for builds with the same options', async () => {
  using directory = scratch();
  const store = await storeIn(directory.path);
  {
    await using worker = WorkerProcess.start({ store, key: TEST_KEY, limits: { pids: 100 } });
    const { ran } = await build(store, TEXT, { engine: nativeEngine({ waiting: worker }) });
    expect(ran).toHaveLength(1);
    expect(worker.child.exitCode).toBe(null);
    expect(worker.take({ store, key: TEST_KEY, limits: { pids: 100 }, executor: 'bwrap' })).toBe(
      false,
    );
    expect(worker.take({ store, key: TEST_KEY, limits: { pids: 100 } })).toBe(true);
    expect(worker.take({ store, key: TEST_KEY, limits: { pids: 100 } })).toBe(false);
    worker.child.kill('SIGKILL');
    await worker.status;
  }
  await using unused = WorkerProcess.start({ store, key: TEST_KEY });
  await unused[Symbol.asyncDispose]();
  expect(unused.child.exitCode).toBe(0);
  expect(leftovers(store)).toEqual([]);
});

test('lends a kept worker to one build at a time, and ends it after its last one', async () => {
  using directory = scratch();
  const options = { store: await storeIn(directory.path), key: TEST_KEY };
  const kept = new KeptWorkers();
  const first = kept.take(options);
  const second = kept.take(options);
  expect(second).not.toBe(first);
  second.release();
  expect(kept.take(options)).toBe(second);
  first.release();

  await kept[Symbol.asyncDispose]();
  expect(await first.status).toBe('0');
  expect(second.child.exitCode).toBe(null);
  second.release();
  expect(await second.status).toBe('0');
});

test('keeps a worker for several builds, until a build fails', async () => {
  using directory = scratch();
  const store = await storeIn(directory.path);
  const options = { store, key: TEST_KEY };
  await using kept = new KeptWorkers();
  const engine = nativeEngine({ kept });
  const first = await build(store, TEXT, { engine });
  const worker = kept.take(options);
  worker.release();
  expect(worker.child.exitCode).toBe(null);

  const second = await build(store, 'FROM base\nCOPY <<f /two\nf\nRUN test ! -e /one\n', {
    engine,
  });
  expect(second.ran).toHaveLength(2);
  // Nothing is missing, so the worker is not needed.
  expect((await build(store, TEXT, { engine })).descriptor).toEqual(first.descriptor);
  await expect(build(store, 'FROM base\nRUN false\n', { engine })).rejects.toThrow('status 1');
  expect(await worker.status).toBe('0');
  const again = await build(store, TEXT, { engine, noCache: true });
  expect(again.descriptor).toEqual(first.descriptor);
  const other = kept.take(options);
  expect(other).not.toBe(worker);
  other.release();

  await kept[Symbol.asyncDispose]();
  expect(other.child.exitCode).toBe(0);
  expect(leftovers(store)).toEqual([]);
});
