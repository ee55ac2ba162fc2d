import { LktError, nearest } from '@lkt/core';

/** The parts of a command that a usage error mentions. */
interface Documented {
  readonly id: string;
  readonly args: Readonly<Record<string, { readonly required?: boolean | undefined }>>;
  readonly flags: Readonly<Record<string, { readonly hidden?: boolean | undefined }>>;
  readonly baseFlags: Readonly<Record<string, { readonly hidden?: boolean | undefined }>>;
}

/** A mistake on the command line, as oclif's parser reports it, in lkt's words. */
export function usageError(error: Error, command: Documented): LktError {
  const help = `lkt ${spaced(command.id)} --help`;
  const fields = error as Error & { readonly flags?: unknown; readonly args?: unknown };
  const [unknown] = Array.isArray(fields.flags) ? (fields.flags as readonly unknown[]) : [];
  if (error.constructor.name === 'NonExistentFlagsError' && typeof unknown === 'string') {
    const known = Object.entries({ ...command.baseFlags, ...command.flags }).flatMap(
      ([name, flag]) => (flag.hidden === true ? [] : [`--${name}`]),
    );
    const near = nearest(unknown, known);
    return new LktError('USAGE_INVALID', `there is no option ${unknown}`, {
      fix: near === undefined ? `see the options: ${help}` : `did you mean ${near}?`,
    });
  }
  if (error.constructor.name === 'RequiredArgsError') {
    const [name = 'argument'] = Object.entries(command.args)
      .filter(([, arg]) => arg.required === true)
      .map(([key]) => key.toUpperCase());
    return new LktError('USAGE_INVALID', `${name} is missing`, { fix: `see how: ${help}` });
  }
  const message = error.message
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following error occurred:\s+/, '')
    .replace(/^Parsing (--\S+)\s+/, '$1: ')
    .trim();
  const text = message.charAt(0).toLowerCase() + message.slice(1);
  return new LktError('USAGE_INVALID', text, { fix: `see how: ${help}` });
}

/** The error for words that are no command. */
export function unknownCommand(argv: readonly string[], ids: readonly string[]): LktError {
  const option = argv.findIndex((word) => word.startsWith('-'));
  const words = option === -1 ? argv : argv.slice(0, option);
  const names = ids.map(spaced);
  // oclif takes the words behind a command that accepts none for a part of its name.
  const command = names.find((name) => words.join(' ').startsWith(`${name} `));
  if (command !== undefined) {
    const extra = words.slice(command.split(' ').length).join(' ');
    return new LktError('USAGE_INVALID', `"lkt ${command}" takes no argument, not "${extra}"`, {
      fix: `see how: lkt ${command} --help`,
    });
  }
  const near = nearest(words.slice(0, 2).join(' '), names) ?? nearest(words[0] ?? '', names);
  const known = names.some((name) => name.startsWith(`${words[0] ?? ''} `)) ? 2 : 1;
  return new LktError('USAGE_INVALID', `there is no command "${words.slice(0, known).join(' ')}"`, {
    fix: near === undefined ? 'see the commands: lkt --help' : `did you mean: lkt ${near}`,
  });
}

/** A command's name as it is typed: oclif joins topics with a colon. */
export function spaced(id: string): string {
  return id.replaceAll(':', ' ');
}
