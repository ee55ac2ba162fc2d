import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { contextOf, leftovers, scratch, build } from './fixture.ts';
import { TORTURE, writeTortureContext } from './torture.ts';

test('killed at any time, the next build succeeds, and nothing was left behind', async () => {
  using directory = scratch();
  const context = join(directory.path, 'context');
  writeTortureContext(context);
  const store = join(directory.path, 'store');
  const script = join(import.meta.dirname, 'build-torture.ts');
  for (let round = 0; round < 10; round += 1) {
    const child = spawn(process.execPath, ['--no-warnings', script, store, context], {
      stdio: 'ignore',
    });
    const end = once(child, 'exit');
    await sleep(150 + round * 170 + Math.random() * 100);
    child.kill('SIGKILL');
    await end;
    await eventually(() => leftovers(store).length === 0);
  }
  const expected = join(directory.path, 'other');
  const options = { context: contextOf(context) };
  const built = await build(store, TORTURE, options);
  expect(built.descriptor).toEqual((await build(expected, TORTURE, options)).descriptor);
  expect(built.cached.length).toBeGreaterThan(0);
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
}, 180_000);

/** The kernel takes a moment to end what depended on a killed process. */
async function eventually(holds: () => boolean): Promise<void> {
  for (let wait = 0; wait < 100; wait += 1) {
    if (holds()) return;
    await sleep(50);
  }
  throw new Error('something stayed after a kill');
}
