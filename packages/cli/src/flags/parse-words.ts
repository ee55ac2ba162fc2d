import { asText } from './options.ts';

/** What a command accepts, as oclif has it. */
export interface Accepted {
  readonly args: Readonly<Record<string, AcceptedArg>>;
  readonly flags: Readonly<Record<string, AcceptedFlag>>;
}

interface AcceptedArg {
  readonly required?: boolean | undefined;
  readonly multiple?: boolean | undefined;
  readonly options?: readonly string[] | undefined;
  readonly default?: unknown;
}

interface AcceptedFlag {
  readonly type: string;
  readonly char?: string | undefined;
  readonly options?: readonly string[] | undefined;
  readonly multiple?: boolean | undefined;
  readonly multipleNonGreedy?: boolean | undefined;
  readonly default?: unknown;
  readonly exclusive?: readonly unknown[] | undefined;
  readonly dependsOn?: readonly unknown[] | undefined;
  readonly delimiter?: string | undefined;
  readonly required?: boolean | undefined;
  readonly parse: unknown;
}

export interface Given {
  readonly args: Readonly<Record<string, unknown>>;
  readonly flags: Readonly<Record<string, unknown>>;
}

/**
 * What the words of a command line give, if there is nothing about them that takes a thought; else undefined, and
 * oclif is asked, which also says what is wrong. The two agree wherever this one answers, and a test holds them to it.
 */
export function plainWords(words: readonly string[], accepted: Accepted): Given | undefined {
  const given: string[] = [];
  const flags: Record<string, unknown> = {};
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '--') {
      given.push(...words.slice(index + 1));
      break;
    }
    if (!word.startsWith('-')) {
      given.push(word);
      continue;
    }
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = nameOf(equals === -1 ? word : word.slice(0, equals), accepted.flags);
    const flag = name === undefined ? undefined : accepted.flags[name];
    if (name === undefined || flag === undefined || isSpecial(flag)) return undefined;
    if (flag.type === 'boolean') {
      if (equals !== -1) return undefined;
      flags[name] = true;
      continue;
    }
    if (equals === -1) index += 1;
    const text = equals === -1 ? words[index] : word.slice(equals + 1);
    const value = text === undefined ? undefined : valueOf(text, flag);
    if (value === undefined) return undefined;
    if (flag.multiple !== true) {
      if (name in flags) return undefined;
      flags[name] = value;
    } else {
      flags[name] = [...((flags[name] ?? []) as readonly unknown[]), value];
    }
  }
  for (const [name, flag] of Object.entries(accepted.flags)) {
    if (name in flags) continue;
    if (flag.required === true || typeof flag.default === 'function') return undefined;
    if (flag.default !== undefined) flags[name] = flag.default;
  }
  const args = argsOf(given, Object.entries(accepted.args));
  return args === undefined ? undefined : { args, flags };
}

function nameOf(word: string, flags: Accepted['flags']): string | undefined {
  if (word.startsWith('--')) return Object.hasOwn(flags, word.slice(2)) ? word.slice(2) : undefined;
  return Object.keys(flags).find((name) => `-${flags[name]?.char}` === word);
}

function isSpecial(flag: AcceptedFlag): boolean {
  const greedy = flag.multiple === true && flag.multipleNonGreedy !== true;
  const isRelated = flag.exclusive !== undefined || flag.dependsOn !== undefined;
  return isRelated || flag.delimiter !== undefined || greedy;
}

function valueOf(text: string, flag: AcceptedFlag): unknown {
  if (text.startsWith('-')) return undefined;
  if (flag.options?.includes(text) === false) return undefined;
  return flag.parse === asText ? text : undefined;
}

function argsOf(
  given: readonly string[],
  args: readonly (readonly [string, AcceptedArg])[],
): Given['args'] | undefined {
  const [first] = args;
  if (args.length === 1 && first?.[1].multiple === true) {
    const [name, { required, options, default: fallback }] = first;
    if (options !== undefined || fallback !== undefined) return undefined;
    if (given.length === 0) return required === true ? undefined : {};
    return { [name]: given };
  }
  // oclif waits for standard input to have an argument that is missing.
  if (given.length !== args.length) return undefined;
  const found: Record<string, string> = {};
  for (const [index, [name, { multiple, options }]] of args.entries()) {
    const word = given[index] ?? '';
    if (multiple === true || options?.includes(word) === false) return undefined;
    found[name] = word;
  }
  return found;
}
