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

/** The process of the worker that stays in a place. */
async function pidIn(place: PooledWorker): Promise<number | undefined> {
  const { dir: store } = await openStore(directory.path);
  const worker = await place.worker({ store });
  worker.release();
  return worker.child.pid;
}

test('checks follow each other in a place, and one finds nothing of those before it', async () => {
  const run = 'RUN --mount=type=cache,target=/cache';
  // Where something is left of the first, the third, which is the same, has another list.
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

test('after a build that fails there is another worker', async () => {
  await using workerPool = new WorkerPool(1);
  const pid = await workerPool.lend(pidIn);
  // It has the rights of root over the machine in the first build only.
  const report = await checked(directory.path, 'FROM base\nRUN mknod /null c 1 3\n', {
    workerPool,
  });
  expect(report.notes).toHaveLength(1);
  expect(await workerPool.lend(pidIn)).not.toBe(pid);
});

test('places are lent to as many as there are', async () => {
  await using workerPool = new WorkerPool(2);
  let inside = 0;
  let most = 0;
  const places = new Set<unknown>();
  const build = async (place: PooledWorker): Promise<void> => {
    places.add(place);
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 5 }, async () => workerPool.lend(build)));
  expect(most).toBe(2);
  const processors = new Set([...places].map((place) => (place as PooledWorker).environment.cpu));
  expect(processors.size).toBe(2);
});
