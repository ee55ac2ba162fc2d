import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '@lkt/oci';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WorkerPool, type PooledWorker } from '../src/worker-pool.ts';
import { leftovers, scratch } from '../../builder/test/fixture.ts';
import { checked } from './checked.ts';

let directory: ReturnType<typeof scratch>;
beforeEach(() => {
  directory = scratch();
});
afterEach(() => directory[Symbol.dispose]());

/** Returns the process id of a pooled worker. */
async function pidIn(pooled: PooledWorker): Promise<number | undefined> {
  const { dir: store, sealed } = await openStore(directory.path);
  const worker = await pooled.worker({ store, key: sealed.key });
  worker.release();
  return worker.child.pid;
}

test('runs several checks in one worker, which keeps no state', async () => {
  const run = 'RUN --mount=type=cache,target=/cache';
  // If the first build left state behind, the equal third build would have another list.
  const text = (name: string): string =>
    `FROM base\n${run} ls /cache /tmp > /list; touch /cache/a /tmp/b\nRUN echo ${name} > /name\n`;
  {
    await using workerPool = new WorkerPool(1);
    const pids: unknown[] = [];
    const images: unknown[] = [];
    for (const name of ['one', 'two', 'one']) {
      const report = await checked(directory.path, text(name), { workerPool, noCache: true });
      expect(report.notes).toEqual([]);
      images.push(report.second);
      pids.push(await workerPool.lend(pidIn));
    }
    expect(images[1]).not.toBe(images[0]);
    expect(images[2]).toBe(images[0]);
    expect(new Set(pids).size).toBe(1);
  }
  expect(leftovers(directory.path)).toEqual([]);
  expect(readdirSync(join(directory.path, 'tmp'))).toEqual([]);
});

test('replaces the worker after a failed build', async () => {
  await using workerPool = new WorkerPool(1);
  const pid = await workerPool.lend(pidIn);
  // Only the first attempt runs without root privileges on the host.
  const report = await checked(directory.path, 'FROM base\nRUN mknod /null c 1 3\n', {
    workerPool,
  });
  expect(report.notes).toHaveLength(1);
  expect(await workerPool.lend(pidIn)).not.toBe(pid);
});

test('lends each worker to one build at a time', async () => {
  await using workerPool = new WorkerPool(2);
  let inside = 0;
  let most = 0;
  const workers = new Set<unknown>();
  const build = async (worker: PooledWorker): Promise<void> => {
    workers.add(worker);
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 5 }, async () => workerPool.lend(build)));
  expect(most).toBe(2);
  const processors = new Set(
    [...workers].map((worker) => (worker as PooledWorker).varied.environment.cpu),
  );
  expect(processors.size).toBe(2);
});
