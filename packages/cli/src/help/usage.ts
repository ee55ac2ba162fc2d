import { LktError, nearest } from '@lkt/core';

/** The parts of a command that a usage error mentions. */
interface Documented {
  readonly id: string;
  readonly args: Readonly<
    Record<string, { readonly required?: boolean | undefined; readonly multiple?: boolean }>
  >;
  readonly flags: Readonly<Record<string, { readonly hidden?: boolean | undefined }>>;
  readonly baseFlags: Readonly<Record<string, { readonly hidden?: boolean | undefined }>>;
}

/** Returns the command line in short. oclif's own usage repeats all flags. */
export function usageLine({ id, args }: Pick<Documented, 'args' | 'id'>): string {
  const words = Object.entries(args).map(([name, { multiple, required }]) => {
    const word = `${name.toUpperCase()}${multiple === true ? '...' : ''}`;
    return required === true ? word : `[${word}]`;
  });
  return [spaced(id), ...words, '[FLAGS]'].join(' ');
}

/** Converts an error of oclif's parser to an error of lkt. */
export function usageError(error: Error, command: Documented): LktError {
  const help = `lkt ${spaced(command.id)} --help`;
  const fields = error as Error & { readonly flags?: unknown; readonly args?: unknown };
  const [unknown] = Array.isArray(fields.flags) ? (fields.flags as readonly unknown[]) : [];
  if (error.constructor.name === 'NonExistentFlagsError' && typeof unknown === 'string') {
    const known = Object.entries({ ...command.baseFlags, ...command.flags }).flatMap(
      ([name, flag]) => (flag.hidden === true ? [] : [`--${name}`]),
    );
    const near = nearest(unknown, known);
    return new LktError('USAGE_INVALID', `unknown option ${unknown}`, {
      fix: near === undefined ? `list the options: ${help}` : `did you mean ${near}?`,
    });
  }
  if (error.constructor.name === 'RequiredArgsError') {
    const missing = missingArgs(fields.args);
    const required = Object.entries(command.args).filter(([, arg]) => arg.required === true);
    const [name = 'argument'] = required
      .map(([key]) => key)
      .filter((key) => missing.length === 0 || missing.includes(key))
      .map((key) => key.toUpperCase());
    return new LktError('USAGE_INVALID', `${name} is missing`, { fix: `show usage: ${help}` });
  }
  const message = error.message
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following error occurred:\s+/, '')
    .replace(/^Parsing (--\S+)\s+/, '$1: ')
    .trim();
  const text = message.charAt(0).toLowerCase() + message.slice(1);
  return new LktError('USAGE_INVALID', text, { fix: `show usage: ${help}` });
}

/** Returns the names of the arguments in an error of oclif. */
function missingArgs(args: unknown): readonly string[] {
  return Array.isArray(args)
    ? args.map((arg: unknown) => String((arg as { readonly name?: unknown }).name))
    : [];
}

/** Returns the error for an unknown command. */
export function unknownCommand(argv: readonly string[], ids: readonly string[]): LktError {
  const option = argv.findIndex((word) => word.startsWith('-'));
  const words = option === -1 ? argv : argv.slice(0, option);
  const fix = 'list the commands: lkt --help';
  if (words.length === 0)
    return new LktError('USAGE_INVALID', `no command after ${argv.join(' ')}`, { fix });
  const names = ids.map(spaced);
  // oclif takes an argument of a command that accepts none for a part of its name.
  const command = names.find((name) => words.join(' ').startsWith(`${name} `));
  if (command !== undefined) {
    const extra = words.slice(command.split(' ').length).join(' ');
    return new LktError('USAGE_INVALID', `"lkt ${command}" takes no argument "${extra}"`, {
      fix: `show usage: lkt ${command} --help`,
    });
  }
  const topic = words[0] ?? '';
  const isTopic = names.some((name) => name.startsWith(`${topic} `));
  const near =
    nearest(words.slice(0, 2).join(' '), names) ?? (isTopic ? undefined : nearest(topic, names));
  const known = isTopic ? 2 : 1;
  return new LktError('USAGE_INVALID', `unknown command "${words.slice(0, known).join(' ')}"`, {
    fix:
      near !== undefined
        ? `did you mean: lkt ${near}`
        : isTopic
          ? `list the commands: lkt ${topic} --help`
          : fix,
  });
}

/** Returns a command's id as typed: oclif joins topics with a colon. */
export function spaced(id: string): string {
  return id.replaceAll(':', ' ');
}
