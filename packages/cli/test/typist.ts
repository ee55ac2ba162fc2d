import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
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

/** Runs lkt on a pseudo-terminal; each prompt, which ends in `: `, gets the next answer. */
export async function type(
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
  answers: readonly string[],
  args: readonly string[],
): Promise<{ status: number; seen: string }> {
  const { COSIGN_PASSWORD: _, ...rest } = process.env;
  const words = ['-c', TYPIST, answers.join(','), process.execPath, main, ...args];
  try {
    const { stdout } = await promisify(execFile)('python3', words, {
      cwd,
      env: { ...rest, NO_COLOR: '1', ...env },
    });
    return { status: 0, seen: stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { status: code, seen: stdout };
  }
}
