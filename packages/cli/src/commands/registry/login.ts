import { LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { requiredArg, switchFlag, valueFlag } from '../../flags/options.ts';
import { registryFlags } from '../../flags/registry.ts';
import type { Session } from '../../session/session.ts';

interface Result {
  readonly registry: string;
  readonly username: string;
  /** Whether the registry confirmed the password. */
  readonly checked: boolean;
  readonly file: string;
  /** The credential helper that has the password; undefined if the file has it. */
  readonly helper: string | undefined;
}

/** A longer password is a mistake, such as a file of another kind. */
const MAX_PASSWORD_BYTES = 64 * 1024;

export class Login extends LktCommand {
  static override summary = 'Log in to a registry';
  static override description = `Asks for user name and password, lets the registry check them, and saves them where docker login does: in the credential helper that ~/.docker/config.json names for the registry, else in that file, with mode 0600. DOCKER_CONFIG names another directory, REGISTRY_AUTH_FILE another file.`;
  static override examples = [
    '<%= config.bin %> login registry.example',
    {
      description: 'Without a terminal:',
      command:
        'printenv TOKEN | <%= config.bin %> login registry.example --username me --password-stdin',
    },
  ];
  static override args = { registry: requiredArg('the registry, such as registry.example:5000') };
  static override flags = {
    'cert-file': registryFlags['cert-file'],
    'password-stdin': switchFlag('read the password from standard input'),
    username: valueFlag('NAME', 'user name; default: asked', { char: 'u' }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Login);
    const session = await this.begin(flags);
    const { registryName } = await import('../../session/registries/registry-name.ts');
    const registry = registryName(args.registry);
    const login = await ask(flags.username, flags['password-stdin']);
    const { checkLogin, saveLogin } = await import('@lkt/registry');
    const { authorities } = await import('../../session/registries/registries.ts');
    const env = session.environment.variables;
    const options = { env, ca: await authorities(session, flags), reporter: session.reporter };
    const checked = await checkLogin(registry, login, options, session.signal);
    if (!checked) warnUnchecked(session, registry);
    const { file, helper } = await saveLogin(registry, login, env);
    this.endProgress();
    this.log(`logged in to ${registry} as ${login.username}; the password is in ${helper ?? file}`);
    return { registry, username: login.username, checked, file, helper };
  }
}

/** @throws LktError USAGE_INVALID, INTERRUPTED */
async function ask(
  given: string | undefined,
  isPiped: boolean,
): Promise<{ username: string; password: string }> {
  const { askOnTerminal } = await import('../../session/password.ts');
  if (isPiped && given === undefined)
    throw new LktError('USAGE_INVALID', '--password-stdin needs --username', {
      fix: 'add --username NAME',
    });
  const fix = 'give --username NAME and --password-stdin';
  const username = given ?? (await askOnTerminal('user name: ', { isHidden: false, fix }));
  if (username === '' || /[:\p{Cc}]/u.test(username))
    throw new LktError('USAGE_INVALID', 'a user name is not empty and has no colon');
  const password = isPiped
    ? await passwordFromInput()
    : await askOnTerminal('password: ', { isHidden: true, fix });
  if (password === '') throw new LktError('USAGE_INVALID', 'the password is empty');
  return { username, password };
}

/** Returns standard input without the line break at its end, as docker login does. */
async function passwordFromInput(): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_PASSWORD_BYTES)
      throw new LktError('USAGE_INVALID', 'standard input is too long for a password');
    parts.push(part);
  }
  const text = Buffer.concat(parts)
    .toString()
    .replace(/\r?\n$/, '');
  if (/[\0\r\n]/.test(text))
    throw new LktError('USAGE_INVALID', 'standard input has more than one line');
  return text;
}

function warnUnchecked(session: Session, registry: string): void {
  session.reporter.emit({
    kind: 'warning',
    text: `${registry} did not ask for a password, so it was not checked`,
  });
}
