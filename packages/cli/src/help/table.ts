import type { Interfaces } from '@oclif/core';
import { type CommandClass, LktCommand } from '../command.ts';
import { spaced } from './usage.ts';

/** A command as data, for completion scripts and `docs/cli.md`. */
export interface CommandEntry {
  /** The name as typed: `pkg build`. */
  readonly name: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly examples: readonly string[];
  readonly args: readonly ArgEntry[];
  readonly flags: readonly FlagEntry[];
}

export interface ArgEntry {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly multiple: boolean;
  readonly values: readonly string[];
}

export interface FlagEntry {
  readonly name: string;
  readonly char: string | undefined;
  readonly summary: string;
  readonly description: string | undefined;
  /** The placeholder of the value in help; undefined for a switch. */
  readonly value: string | undefined;
  readonly values: readonly string[];
  readonly default: string | undefined;
  readonly multiple: boolean;
  /** Whether every command accepts it. */
  readonly global: boolean;
}

/** Returns commands sorted by name, without hidden flags. */
export function commandTable(
  commands: Readonly<Record<string, CommandClass>>,
): readonly CommandEntry[] {
  return Object.entries(commands)
    .map(([id, { summary, description, examples = [], args, flags }]) => ({
      name: spaced(id),
      summary,
      description,
      examples: examples
        .map((example) => (typeof example === 'string' ? example : example.command))
        .map((example) => example.replaceAll('<%= config.bin %>', 'lkt')),
      args: Object.entries(args).map(([name, arg]) => argEntry(name, arg)),
      flags: flagEntries(flags),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function argEntry(name: string, arg: Interfaces.ArgInput[string]): ArgEntry {
  return {
    name: name.toUpperCase(),
    description: arg.description ?? '',
    required: arg.required ?? false,
    multiple: arg.multiple ?? false,
    values: arg.options ?? [],
  };
}

function flagEntries(own: Interfaces.FlagInput): readonly FlagEntry[] {
  const common: Interfaces.FlagInput = LktCommand.baseFlags;
  return [
    ...Object.entries(own).map((flag) => flagEntry(...flag, false)),
    ...Object.entries(common).map((flag) => flagEntry(...flag, true)),
  ].flatMap((entry) => (entry === undefined ? [] : [entry]));
}

function flagEntry(
  name: string,
  flag: Interfaces.FlagInput[string],
  global: boolean,
): FlagEntry | undefined {
  if (flag.hidden === true) return undefined;
  const { char, summary = '', description } = flag;
  const entry = { name, char, summary, description, global, multiple: false, default: undefined };
  if (flag.type === 'boolean') return { ...entry, value: undefined, values: [] };
  const helpValue = flag.helpValue?.toString();
  const values = flag.options ?? [...wordsOf(helpValue), ...wordsOf(description)];
  // As in oclif's help; a list with a delimiter has it in its placeholder.
  const isRepeated = flag.multiple === true && flag.delimiter === undefined;
  const value = helpValue ?? (values.length > 0 ? values.join('|') : 'VALUE');
  return {
    ...entry,
    value: isRepeated ? `${value}…` : value,
    values,
    default: flag.default === undefined ? undefined : String(flag.default),
    multiple: flag.multiple ?? false,
  };
}

/** Returns the words of `A|B|C` or `A, B, C`; none of other texts. */
function wordsOf(text = ''): readonly string[] {
  return /^[a-z0-9+-]+(?:(?:\||, )[a-z0-9+-]+)+$/.test(text) ? text.split(/\||, /) : [];
}
