import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { guardedDirectory } from '../src/guarded-directory.ts';

const source = join(import.meta.dirname, '../src/guarded-directory.ts');

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Starts a process that outlives its parent, and has no open files of it. */
function start(args: readonly string[], cwd: string): ChildProcess {
  const child = spawn('sh', ['-c', 'sleep 1000; true', ...args], {
    cwd,
    detached: true,
    stdio: 'ignore',
  });
  child.unref();
  return child;
}

test('ends the processes of a directory with it, and no others', async () => {
  const dir = guardedDirectory('lkt-guarded-');
  const named = start([join(dir.path, 'disk')], '/');
  const inside = start([], dir.path);
  const other = start([`${dir.path}-other`], '/');
  const ended = Promise.all([once(named, 'close'), once(inside, 'close')]);
  await dir[Symbol.asyncDispose]();
  expect((await ended).map(([, signal]) => signal as unknown)).toEqual(['SIGKILL', 'SIGKILL']);
  expect(existsSync(dir.path)).toBe(false);
  expect(isRunning(other.pid ?? 0)).toBe(true);
  process.kill(-(other.pid ?? 0), 'SIGKILL');
});

test('ends the processes of a test that is killed', async () => {
  const program = `
    const { guardedDirectory } = await import(${JSON.stringify(source)});
    const { spawn } = await import('node:child_process');
    const { path: cwd } = guardedDirectory('lkt-guarded-');
    const child = spawn('sleep', ['1000'], { cwd, detached: true, stdio: 'ignore' });
    child.unref();
    console.log(JSON.stringify([cwd, child.pid]));
    setInterval(() => undefined, 1000);`;
  const killed = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(killed.stdout, 'data')) as [Buffer];
  const [path, pid] = JSON.parse(line.toString()) as [string, number];
  expect(isRunning(pid)).toBe(true);
  killed.kill('SIGKILL');
  await expect.poll(() => isRunning(pid)).toBe(false);
  await expect.poll(() => existsSync(path)).toBe(false);
});
