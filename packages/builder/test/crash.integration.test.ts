import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { contextOf, leftovers, scratch, build, groups, untilGone } from './fixture.ts';
import { TORTURE, writeTortureContext } from './torture.ts';

test('leaves nothing behind and a usable store when it is killed at any time', async () => {
  using directory = scratch();
  const context = join(directory.path, 'context');
  writeTortureContext(context);
  const store = join(directory.path, 'store');
  const script = join(import.meta.dirname, 'build-torture.ts');
  const expected = join(directory.path, 'other');
  const start = (into: string): ChildProcess =>
    spawn(process.execPath, ['--no-warnings', script, into, context], { stdio: 'ignore' });
  const begun = performance.now();
  await once(start(expected), 'exit');
  const whole = performance.now() - begun;
  for (let round = 0; round < 10; round += 1) {
    const child = start(store);
    const end = once(child, 'exit');
    await sleep((whole * (round + Math.random())) / 10);
    child.kill('SIGKILL');
    await end;
    await eventually(() => leftovers(store).length === 0);
  }
  const options = { context: contextOf(context) };
  const built = await build(store, TORTURE, options);
  expect(built.descriptor).toEqual((await build(expected, TORTURE, options)).descriptor);
  expect(built.cached.length).toBeGreaterThan(0);
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
});

test.each(['init', 'bwrap', 'runc', 'crun'])(
  'leaves no process, mount or control group of a killed or stopped build, with %s',
  async (executor) => {
    using directory = scratch();
    const store = join(directory.path, 'store');
    const script = `
      import { build } from ${JSON.stringify(join(import.meta.dirname, 'fixture.ts'))};
      const abort = new AbortController();
      process.on('SIGTERM', () => abort.abort(new Error('stopped')));
      const [, store, executor] = process.argv;
      const onEvent = ({ kind, text }) => kind === 'log' && process.stdout.write(text);
      const text = 'FROM base\\nRUN echo begun; (setsid sleep 985 &); sleep 985\\nRUN true\\n';
      await build(store, text, { executor, onEvent, signal: abort.signal }).catch(() => undefined);
      process.exit(0);
    `;
    for (const [signal, waits] of [
      ['SIGKILL', true],
      ['SIGTERM', true],
      ['SIGKILL', false],
      ['SIGTERM', false],
    ] as const) {
      // Other builds may take hours.
      const others = groups();
      const node = ['--no-warnings', '--input-type=module', '-e', script, store, executor];
      const child = spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'ignore'] });
      const end = once(child, 'exit');
      if (waits) await Promise.race([once(child.stdout, 'data'), end]);
      else await sleep(300 + Math.random() * 600);
      child.kill(signal);
      await end;
      await eventually(() => leftovers(store).length === 0);
      await untilGone(groups, others);
    }
    await build(store, 'FROM base\nRUN true\n', { executor });
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  },
  180_000,
);

test('stops a build that is aborted as it begins', async () => {
  using directory = scratch();
  const store = join(directory.path, 'store');
  const stopped = new Error('stopped');
  const abort = new AbortController();
  const { signal } = abort;
  const listen = signal.addEventListener.bind(signal);
  // The last moment without a listener.
  signal.addEventListener = (...args: Parameters<typeof listen>): void => {
    abort.abort(stopped);
    listen(...args);
  };
  const building = build(store, 'FROM base\nRUN sleep 985\n', { signal });
  await expect(building).rejects.toThrow(stopped);
  expect(leftovers(store)).toEqual([]);
}, 60_000);

/** Waits: the kernel takes a moment to end the descendants of a killed process. */
async function eventually(holds: () => boolean): Promise<void> {
  for (let wait = 0; wait < 600; wait += 1) {
    if (holds()) return;
    await sleep(50);
  }
  throw new Error('something stayed after a kill');
}
