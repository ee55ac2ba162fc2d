import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { isErrno, LktError, readJson } from '@lkt/core';
import type { Session } from './session.ts';

/**
 * Runs npm, with the user's configuration and registry.
 * @param accepted exit codes that are no failure
 * @returns its standard output
 * @throws LktError TOOL_MISSING, NOT_FOUND, NETWORK_FAILED
 */
export async function runNpm(
  { environment, signal }: Session,
  cwd: string,
  words: readonly string[],
  accepted: readonly number[] = [0],
): Promise<string> {
  const child = spawn('npm', words, {
    cwd,
    env: { ...environment.variables, npm_config_update_notifier: 'false' },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  try {
    const [stdout, stderr, [exit]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number]>,
    ]);
    if (accepted.includes(exit)) return stdout;
    const detail = stderr.trim().split('\n').slice(0, 10).join('\n');
    const code = /\bE404\b|ETARGET/.test(stderr) ? 'NOT_FOUND' : 'NETWORK_FAILED';
    throw new LktError(code, `npm ${words[0] ?? ''} failed`, { detail });
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new LktError('TOOL_MISSING', 'npm is not installed', {
      cause: error,
      fix: 'apt-get install npm',
    });
  }
}

/**
 * Parses the JSON that npm prints about a package.
 * @throws LktError NETWORK_FAILED
 */
export function parseNpm(output: string, name: string): unknown {
  const options = {
    code: 'NETWORK_FAILED',
    what: `npm says something unexpected of ${name}`,
  } as const;
  return readJson(Buffer.from(output), (value) => value, options);
}
