import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { main } from '../program.ts';

const words = [process.execPath, main, 'schema', 'image'];

/**
 * Starts a program whose standard output is a non-blocking pipe, and reads from it late and slowly.
 */
const READER = `
import fcntl, os, subprocess, sys, time
reading, writing = os.pipe()
fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
os.set_blocking(writing, False)
child = subprocess.Popen(sys.argv[1:], stdout=writing)
os.close(writing)
time.sleep(0.5)
seen = b""
while piece := os.read(reading, 1000):
    seen += piece
sys.stdout.buffer.write(seen)
sys.exit(child.wait())
`;

test('writes all output to a slow reader of a non-blocking pipe', () => {
  const [node = '', ...args] = words;
  const whole = execFileSync(node, args, { encoding: 'utf8' });
  expect(whole.length).toBeGreaterThan(65_536);
  expect(execFileSync('python3', ['-c', READER, ...words], { encoding: 'utf8' })).toBe(whole);
});

test('succeeds when the reader closes the pipe early', () => {
  const script = 'set -o pipefail; "$@" | head -c 1';
  expect(execFileSync('bash', ['-c', script, 'sh', ...words], { encoding: 'utf8' })).toBe('{');
});
