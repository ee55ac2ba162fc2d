import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { inTurn } from '../src/in-turn.ts';
import { all, Limit } from '../src/limit.ts';
import { failure } from './support.ts';

it('a limit lets so many run at a time, whatever becomes of them, and the others in the order they came', async () => {
  const limit = new Limit(3);
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const work = Array.from({ length: 10 }, async (_, index) =>
    limit.run(async () => {
      started.push(index);
      running += 1;
      most = Math.max(most, running);
      await turn();
      running -= 1;
      if (index % 4 === 0) throw new Error('failed');
    }),
  );
  const done = await Promise.allSettled(work);
  expect(done.filter(({ status }) => status === 'rejected')).toHaveLength(3);
  expect(most).toBe(3);
  expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

it('the first failure stops the others, and is told once they have ended', async () => {
  const ended: number[] = [];
  const error = await failure(
    all([1, 2, 3], undefined, async (item, signal) => {
      if (item === 2) throw new Error('two failed');
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve());
      });
      ended.push(item);
    }),
  );
  expect(error.message).toBe('two failed');
  expect(ended).toEqual([1, 3]);
});

it('what has the same key runs in turn, also after a failure', async () => {
  const events: string[] = [];
  const work = async (key: string, name: string): Promise<void> =>
    inTurn(key, async () => {
      events.push(`begin ${name}`);
      await turn();
      events.push(`end ${name}`);
      if (name === 'a') throw new Error('failed');
    });
  const done = await Promise.allSettled([work('x', 'a'), work('x', 'b'), work('y', 'c')]);
  expect(done.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  expect(events.slice(0, 2)).toEqual(['begin a', 'begin c']);
  expect(events.filter((event) => !event.endsWith('c'))).toEqual([
    'begin a',
    'end a',
    'begin b',
    'end b',
  ]);
});
