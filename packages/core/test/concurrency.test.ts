import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { KeyedMutex, mapConcurrent, ResourcePool, Semaphore } from '../src/concurrency.ts';

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve());
  });
}

describe('Semaphore', () => {
  it('runs at most its limit at once, in order of arrival, despite failures', async () => {
    const semaphore = new Semaphore(3);
    const started: number[] = [];
    let most = 0;
    const tasks = Array.from({ length: 10 }, async (_, index) =>
      semaphore.run(async () => {
        started.push(index);
        most = Math.max(most, semaphore.inUse);
        await nextTurn();
        if (index % 4 === 0) throw new Error('failed');
      }),
    );
    const done = await Promise.allSettled(tasks);
    expect(done.filter(({ status }) => status === 'rejected')).toHaveLength(3);
    expect(most).toBe(3);
    expect(semaphore.inUse).toBe(0);
    expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('lets the next task start once a task releases it, and counts it once', async () => {
    const semaphore = new Semaphore(1);
    const next = Promise.withResolvers<undefined>();
    await Promise.all([
      semaphore.run(async (release) => {
        release();
        await next.promise;
        expect(semaphore.inUse).toBe(1);
        release();
      }),
      semaphore.run(async () => {
        next.resolve(undefined);
        for (let turn = 0; turn < 3; turn += 1) await nextTurn();
        expect(semaphore.inUse).toBe(1);
      }),
    ]);
    expect(semaphore.inUse).toBe(0);
  });
});

describe('KeyedMutex', () => {
  it('runs tasks with equal keys one after another, even after a failure', async () => {
    const mutex = new KeyedMutex();
    const events: string[] = [];
    const task = async (key: string, name: string): Promise<void> =>
      mutex.run(key, async () => {
        events.push(`begin ${name}`);
        await nextTurn();
        events.push(`end ${name}`);
        if (name === 'a') throw new Error('failed');
      });
    const done = await Promise.allSettled([task('x', 'a'), task('x', 'b'), task('y', 'c')]);
    expect(done.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(events.slice(0, 2)).toEqual(['begin a', 'begin c']);
    expect(events.filter((event) => !event.endsWith('c'))).toEqual([
      'begin a',
      'end a',
      'begin b',
      'end b',
    ]);
  });
});

describe('ResourcePool', () => {
  it('lends each resource to one task at a time', async () => {
    const pool = new ResourcePool(['a', 'b']);
    const lent = new Set<string>();
    const used: string[] = [];
    const tasks = Array.from({ length: 6 }, async (_, index) =>
      pool.use(async (resource) => {
        expect(lent).not.toContain(resource);
        lent.add(resource);
        used.push(resource);
        await nextTurn();
        lent.delete(resource);
        if (index === 1) throw new Error('failed');
      }),
    );
    await Promise.allSettled(tasks);
    expect(used).toHaveLength(6);
    expect(new Set(used)).toEqual(new Set(['a', 'b']));
  });

  it('lends the resource that was returned last', async () => {
    const pool = new ResourcePool(['a', 'b']);
    const used = [];
    for (let count = 0; count < 3; count += 1) used.push(await pool.use(async (one) => one));
    expect(used).toEqual(['a', 'a', 'a']);
  });
});

describe('mapConcurrent', () => {
  it('returns results in item order, with at most `concurrency` items at once', async () => {
    let running = 0;
    let most = 0;
    const results = await mapConcurrent(
      [3, 1, 2, 0],
      async (turns) => {
        running += 1;
        most = Math.max(most, running);
        for (let left = turns; left > 0; left -= 1) await nextTurn();
        running -= 1;
        return turns * 10;
      },
      { concurrency: 2 },
    );
    expect(results).toEqual([30, 10, 20, 0]);
    expect(most).toBe(2);
  });

  it('returns nothing for no items', async () => {
    expect(await mapConcurrent([], async () => 1)).toEqual([]);
  });

  it('aborts the other items on a failure, and throws it once all have settled', async () => {
    const settled: number[] = [];
    const error = await failure(
      mapConcurrent([1, 2, 3], async (item, signal) => {
        if (item === 2) throw new Error('two failed');
        await aborted(signal);
        settled.push(item);
        signal.throwIfAborted();
      }),
    );
    expect(error).toMatchObject({ message: 'two failed' });
    expect(settled).toEqual([1, 3]);
  });

  it('starts no item after a failure', async () => {
    const started: number[] = [];
    const work = async (item: number): Promise<void> => {
      started.push(item);
      await nextTurn();
      if (item === 1) throw new Error('one failed');
    };
    await failure(mapConcurrent([0, 1, 2, 3, 4, 5], work, { concurrency: 2 }));
    expect(started).toEqual([0, 1, 2]);
  });

  it('throws the failure of the first item in order, unless the abort caused it', async () => {
    const late = await failure(
      mapConcurrent([2, 1], async (turns) => {
        for (let left = turns; left > 0; left -= 1) await nextTurn();
        throw new Error(`failed after ${turns}`);
      }),
    );
    expect(late).toMatchObject({ message: 'failed after 2' });
    const cause = await failure(
      mapConcurrent(['waits', 'fails'], async (name, signal) => {
        if (name === 'fails') throw new Error('own failure');
        await aborted(signal);
        throw new Error('interrupted', { cause: signal.reason });
      }),
    );
    expect(cause).toMatchObject({ message: 'own failure' });
  });

  it('throws the reason of the outer signal', async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const started: number[] = [];
    const done = failure(
      mapConcurrent(
        [0, 1],
        async (item, signal) => {
          started.push(item);
          controller.abort(reason);
          signal.throwIfAborted();
        },
        { concurrency: 1, signal: controller.signal },
      ),
    );
    expect(await done).toBe(reason);
    expect(started).toEqual([0]);
  });
});
