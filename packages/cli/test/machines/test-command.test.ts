import { LktError, type ProgressEvent } from '@lkt/core';
import { expect, test } from 'vitest';
import { runTest } from '../../src/session/test-command.ts';

async function run(command: string, signal: AbortSignal): Promise<readonly ProgressEvent[]> {
  const events: ProgressEvent[] = [];
  const reporter = { emit: (event: ProgressEvent): void => void events.push(event) };
  const environment = { cwd: '/', home: '/', variables: { PATH: process.env['PATH'], WORD: 'ok' } };
  await runTest({ reporter, signal, environment }, command, '/usr');
  return events;
}

test('runs a shell command in a directory, with its output as the log of a step', async () => {
  const never = new AbortController().signal;
  const events = await run('pwd; echo $WORD >&2', never);
  const output = events.flatMap((event) => (event.kind === 'log' ? [event.text] : []));
  expect(output.join('').split('\n').toSorted()).toEqual(['', '/usr', 'ok']);
  expect(events.map(({ kind }) => kind)).toContain('done');
  await expect(run('exit 3', never)).rejects.toMatchObject({
    code: 'TEST_FAILED',
    message: 'the test of the update failed: exit 3',
  });
});

test('ends with the reason of the signal', async () => {
  const stop = new AbortController();
  const reason = new LktError('INTERRUPTED', 'stopped');
  const running = run('sleep 60', stop.signal);
  stop.abort(reason);
  await expect(running).rejects.toBe(reason);
});
