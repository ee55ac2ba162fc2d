import { LktError } from '@lkt/core';

export interface PasswordQuestion {
  /** What it is for: `cosign.key`. */
  readonly name: string;
  /** Ask a second time, as nobody sees what is typed. */
  readonly isNew?: boolean;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/**
 * The password of a key: `COSIGN_PASSWORD`, which may be empty, else what is typed at the terminal and not shown. There
 * is no option for it, since everybody on a machine can read command lines.
 * @throws LktError USAGE_INVALID where there is nobody to ask; INTERRUPTED
 */
export async function passwordFor({ name, isNew, variables }: PasswordQuestion): Promise<string> {
  const given = variables['COSIGN_PASSWORD'];
  if (given !== undefined) return given;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new LktError('USAGE_INVALID', `${name} needs a password, and there is nobody to ask`, {
      fix: `set COSIGN_PASSWORD, which may be empty${isNew === true ? ', or give --no-password' : ''}`,
    });
  const password = await ask(`password for ${name}: `);
  if (isNew !== true) return password;
  if ((await ask('the same again: ')) === password) return password;
  throw new LktError('USAGE_INVALID', 'the passwords are not the same', {
    fix: 'start again; nothing was written',
  });
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

async function ask(question: string): Promise<string> {
  const { stdin, stderr } = process;
  // Before the question, so that not even a quick answer is shown.
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
            else reject(new LktError('INTERRUPTED', 'stopped at the question for a password'));
            return;
          }
          const isErase = char === '\u007f' || char === '\b';
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
