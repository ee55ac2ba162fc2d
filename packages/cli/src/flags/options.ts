import type { Interfaces } from '@oclif/core';
// Loads oclif's definitions without the rest of oclif.
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';

type Settings<T> = Omit<Partial<Interfaces.OptionFlag<T>>, 'default' | 'multiple' | 'required'>;
type SwitchSettings = Partial<Interfaces.BooleanFlag<boolean>>;

/** The values of a command's flags, as parsed. */
export type ParsedFlags<F> = Interfaces.InferredFlags<F>;
/** The values of flags that a command may have. */
export type FlagValues<F> = Partial<ParsedFlags<F>>;

/**
 * Defines a flag with a value.
 * @param helpValue placeholder of the value in help
 */
export function valueFlag(
  helpValue: string,
  summary: string,
  settings: Settings<string> & ({ default: string } | { required: true }),
): Interfaces.OptionFlag<string>;
export function valueFlag(
  helpValue: string,
  summary: string,
  settings?: Settings<string>,
): Interfaces.OptionFlag<string | undefined>;
export function valueFlag(
  helpValue: string,
  summary: string,
  settings: Settings<string> = {},
): Interfaces.OptionFlag<string | undefined> {
  return Flags.string({ ...settings, helpValue, summary });
}

/** Adds flags to a group of the help. */
export function grouped<const F extends Interfaces.FlagInput>(helpGroup: string, flags: F): F {
  const entries = Object.entries(flags).map(([name, flag]) => [name, { ...flag, helpGroup }]);
  return Object.fromEntries(entries) as F;
}

/** Defines a flag that may be repeated, one value each; help shows `VALUE...`. */
export function listFlag(
  helpValue: string,
  summary: string,
  settings: Settings<string[]> & { default: string[] },
): Interfaces.OptionFlag<string[]>;
export function listFlag(
  helpValue: string,
  summary: string,
  settings?: Settings<string[]>,
): Interfaces.OptionFlag<string[] | undefined>;
export function listFlag(
  helpValue: string,
  summary: string,
  settings: Settings<string[]> = {},
): Interfaces.OptionFlag<string[] | undefined> {
  const repeated = { multiple: true, multipleNonGreedy: true } as const;
  return Flags.string({ ...settings, ...repeated, helpValue, summary });
}

/** Defines a flag with a number of at least 1. */
export function countFlag(
  helpValue: string,
  summary: string,
): Interfaces.OptionFlag<number | undefined> {
  return Flags.integer({ helpValue, summary, min: 1 });
}

/** Defines a flag with one of several values. */
export function choiceFlag<const T extends readonly string[]>(
  options: T,
  summary: string,
  settings: { default: T[number] },
): Interfaces.OptionFlag<T[number]>;
export function choiceFlag<const T extends readonly string[]>(
  options: T,
  summary: string,
  settings?: { helpGroup: string },
): Interfaces.OptionFlag<T[number] | undefined>;
export function choiceFlag<const T extends readonly string[]>(
  options: T,
  summary: string,
  settings: { default?: T[number]; helpGroup?: string } = {},
): Interfaces.OptionFlag<T[number] | undefined> {
  return Flags.option({ options })({ ...settings, summary });
}

/** Defines a flag without a value. */
export function switchFlag(
  summary: string,
  settings: SwitchSettings = {},
): Interfaces.BooleanFlag<boolean> {
  return Flags.boolean({ ...settings, summary });
}

export function requiredArg(description: string): Interfaces.Arg<string> {
  return Args.string({ description, required: true });
}

/** Defines an argument of one or more words. */
export function requiredArgs(description: string): Interfaces.Arg<string[]> {
  return Args.string({ description, required: true, multiple: true });
}

/** Defines an argument of any number of words. */
export function optionalArgs(description: string): Interfaces.Arg<string[] | undefined> {
  return Args.string({ description, multiple: true });
}

export { Args, Flags };
