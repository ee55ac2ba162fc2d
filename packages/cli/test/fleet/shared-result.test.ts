import { expect, test } from 'vitest';
import { sharedResult } from '../../src/fleet/shared-result.ts';

test('runs the work once for many callers, even if it takes longer than its result is fresh', async () => {
  let now = 0;
  const waiting: PromiseWithResolvers<number>[] = [];
  const work = async (): Promise<number> => {
    const one = Promise.withResolvers<number>();
    waiting.push(one);
    return one.promise;
  };
  const result = sharedResult(work, 5000, () => now);
  const answers: Promise<number>[] = [];
  for (let client = 0; client < 100; client += 1) {
    answers.push(result());
    now += 1000;
  }
  expect(waiting).toHaveLength(1);
  waiting[0]?.resolve(1);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([1]));
  now += 4999;
  expect(await result()).toBe(1);
  now += 1;
  const next = result();
  waiting[1]?.reject(new Error('away'));
  await expect(next).rejects.toThrow('away');
  await expect(result()).rejects.toThrow('away');
  expect(waiting).toHaveLength(2);
});
