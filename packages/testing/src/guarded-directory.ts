import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory whose processes end with it. */
export interface GuardedDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * Waits for the end of its input, which comes also when the test is killed. Then ends the processes
 * that work in the directory or name it, until it finds no more, and removes it.
 */
const GUARD = `cat >/dev/null
for pass in 1 2 3 4 5; do
  found=
  for file in $(
    grep -lsaF "$GUARDED/" /proc/[0-9]*/cmdline
    find /proc/[0-9]*/cwd -maxdepth 0 '(' -lname "$GUARDED" -o -lname "$GUARDED/*" ')' 2>/dev/null
  ); do
    process=\${file#/proc/}
    # The search finds itself, and has ended.
    kill -KILL "\${process%/*}" 2>/dev/null && found=yes
  done
  [ -n "$found" ] || break
done
rm -rf -- "$GUARDED"`;

/**
 * Makes a temporary directory for a test that starts processes which outlive it: machines, daemons.
 * @param prefix of its name
 */
export function guardedDirectory(prefix: string): GuardedDirectory {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const guard = spawn('/bin/sh', ['-c', GUARD], {
    // Signals to the group of the test do not reach it.
    detached: true,
    cwd: '/',
    env: { PATH: process.env['PATH'], GUARDED: path },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(guard, 'close');
  guard.unref();
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      guard.stdin.end();
      await ended;
    },
  };
}
