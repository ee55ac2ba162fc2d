import { execFile } from 'node:child_process';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readSigningKey } from '@lkt/sign';
import { expect, test } from 'vitest';
import { main } from './program.ts';

/** Answers each prompt on a pseudo-terminal, and prints the terminal's output. */
const TYPIST = `
import os, pty, sys
answers = [answer.encode().decode("unicode_escape").encode("latin-1") for answer in sys.argv[1].split(",")]
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen = b""
asked = 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    while asked < len(answers) and seen.count(b": ") > asked:
        os.write(terminal, answers[asked])
        asked += 1
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`;

async function type(
  dir: string,
  answers: readonly string[],
  args: readonly string[],
): Promise<{ status: number; seen: string }> {
  const { COSIGN_PASSWORD: _, ...rest } = process.env;
  const env = { ...rest, NO_COLOR: '1' };
  const words = ['-c', TYPIST, answers.join(','), process.execPath, main, ...args];
  try {
    const { stdout } = await promisify(execFile)('python3', words, { cwd: dir, env });
    return { status: 0, seen: stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { status: code, seen: stdout };
  }
}

test('asks for a password twice, without showing it', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-password-'));
  // Corrects a typing mistake.
  const answers = [String.raw`Zwx\x7fonig\n`, String.raw`Zwonig\n`];
  const { status, seen } = await type(dir.path, answers, ['key', 'generate']);
  expect(seen).toMatch(/^password for cosign\.key: \r\nrepeat the password: \r\ncosign\.key and /);
  expect(seen).not.toContain('Zw');
  expect(status).toBe(0);
  await readSigningKey(join(dir.path, 'cosign.key'), { password: 'Zwonig' });
});

test('writes nothing after different passwords, or after Ctrl-C', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-password-'));
  const other = await type(dir.path, [String.raw`one\n`, String.raw`two\n`], ['key', 'generate']);
  expect(other.seen).toContain('error: the passwords differ');
  expect(other.status).toBe(2);
  const stopped = await type(dir.path, [String.raw`one\x03`], ['key', 'generate']);
  expect(stopped.seen).toContain('error: stopped at the password prompt');
  expect(stopped.status).toBe(130);
  expect(await readdir(dir.path)).toEqual([]);
});
