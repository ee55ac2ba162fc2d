import { LktError } from '@lkt/core';
import { printable } from '../output/printable.ts';

export interface PasswordQuestion {
  /** The name of the key in the prompt: `cosign.key`. */
  readonly name: string;
  /** Whether to ask twice, as the input is hidden. */
  readonly isNew?: boolean;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/**
 * Returns the password of a key: `COSIGN_PASSWORD`, which may be empty, else hidden input from the
 * terminal. There is no flag for it, as other users can read command lines.
 * @throws LktError INTERRUPTED; USAGE_INVALID without a terminal
 */
export async function passwordFor({ name, isNew, variables }: PasswordQuestion): Promise<string> {
  const given = variables['COSIGN_PASSWORD'];
  if (given !== undefined) return given;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new LktError(
      'USAGE_INVALID',
      `${name} needs a password, and there is no terminal to ask on`,
      {
        fix: `set COSIGN_PASSWORD, which may be empty${isNew === true ? ', or give --no-password' : ''}`,
      },
    );
  const password = await ask(`password for ${name}: `);
  if (isNew !== true) return password;
  if ((await ask('repeat the password: ')) === password) return password;
  throw new LktError('USAGE_INVALID', 'the passwords differ', {
    fix: 'run the command again; nothing was written',
  });
}

/**
 * Returns a line that the user types on the terminal.
 * @param isHidden the terminal does not show it
 * @throws LktError INTERRUPTED; USAGE_INVALID without a terminal
 */
export async function askOnTerminal(
  question: string,
  { isHidden, fix }: { readonly isHidden: boolean; readonly fix: string },
): Promise<string> {
  if (process.stdin.isTTY && process.stderr.isTTY) return ask(question, !isHidden);
  throw new LktError('USAGE_INVALID', 'there is no terminal to ask on', { fix });
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

async function ask(question: string, isShown = false): Promise<string> {
  const { stdin, stderr } = process;
  // Before the prompt, so that even a fast answer is hidden.
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stderr.write(question);
  try {
    return await new Promise((resolve, reject) => {
      let typed = '';
      const read = (text: string): void => {
        for (const char of text) {
          const isEnd = char === '\r' || char === '\n' || char === CTRL_D;
          if (isEnd || char === CTRL_C) {
            stdin.off('data', read);
            if (isEnd) resolve(typed);
            else reject(new LktError('INTERRUPTED', 'stopped at the prompt'));
            return;
          }
          const isErase = char === '\u007f' || char === '\b';
          if (isShown && isErase && typed !== '') stderr.write('\b \b');
          if (isShown && !isErase) stderr.write(printable(char));
          typed = isErase ? typed.replace(/.$/su, '') : typed + char;
        }
      };
      stdin.on('data', read).resume();
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}
