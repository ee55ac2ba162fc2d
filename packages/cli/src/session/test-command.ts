import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { LktError, reportStep } from '@lkt/core';
import type { Session } from './session.ts';

/**
 * Runs a command by the shell. Its output goes to the progress display.
 * @throws LktError TEST_FAILED
 */
export async function runTest(
  { reporter, signal, environment }: Pick<Session, 'reporter' | 'signal' | 'environment'>,
  command: string,
  cwd: string,
): Promise<void> {
  const id = `test ${command}`;
  await reportStep(reporter, { id, title: command }, async () => {
    const child = spawn('/bin/sh', ['-c', command], {
      cwd,
      env: environment.variables,
      signal,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        reporter.emit({ kind: 'log', id, text });
      });
    const [code] = (await once(child, 'close').catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    })) as [number | null];
    if (code !== 0)
      throw new LktError('TEST_FAILED', `the test of the update failed: ${command}`, {
        fix: 'correct the cause, and run lkt update again',
      });
  });
}
