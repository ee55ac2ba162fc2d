import { LktCommand } from '../command.ts';
import { loadAllCommands } from '../commands.ts';
import type { ArgEntry, CommandEntry, FlagEntry } from './command-entry.ts';
import { spaced } from './usage.ts';

/** Returns all commands sorted by name, without hidden flags. */
export async function commandTable(): Promise<readonly CommandEntry[]> {
  return Object.entries(await loadAllCommands())
    .map(([id, command]) => ({
      name: spaced(id),
      summary: command.summary ?? '',
      description: command.description,
      examples: ((command.examples ?? []) as readonly (string | { readonly command: string })[])
        .map((example) => (typeof example === 'string' ? example : example.command))
        .map((example) => example.replaceAll('<%= config.bin %>', 'lkt')),
      args: Object.entries(command.args ?? {}).map(([name, arg]) => argEntry(name, arg as RawArg)),
      flags: flagEntries((command.flags ?? {}) as Record<string, RawFlag>),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

interface RawArg {
  readonly description?: string;
  readonly required?: boolean;
  readonly multiple?: boolean;
  readonly options?: readonly string[];
}

interface RawFlag {
  readonly type: string;
  readonly char?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly helpValue?: string;
  readonly options?: readonly string[];
  readonly default?: string | number | boolean;
  readonly multiple?: boolean;
  readonly hidden?: boolean;
}

function argEntry(name: string, arg: RawArg): ArgEntry {
  return {
    name: name.toUpperCase(),
    description: arg.description ?? '',
    required: arg.required ?? false,
    multiple: arg.multiple ?? false,
    values: arg.options ?? [],
  };
}

function flagEntries(own: Readonly<Record<string, RawFlag>>): readonly FlagEntry[] {
  const json: RawFlag = { type: 'boolean', summary: 'print the result as JSON' };
  const common = { ...(LktCommand.baseFlags as Record<string, RawFlag>), json };
  return [
    ...Object.entries(own).map(([name, flag]) => flagEntry(name, flag, false)),
    ...Object.entries(common).map(([name, flag]) => flagEntry(name, flag, true)),
  ].flatMap((entry) => (entry === undefined ? [] : [entry]));
}

function flagEntry(name: string, flag: RawFlag, global: boolean): FlagEntry | undefined {
  if (flag.hidden === true) return undefined;
  const values = flag.options ?? wordsOf(flag.helpValue);
  const value = flag.helpValue ?? (values.length > 0 ? values.join('|') : 'VALUE');
  return {
    name,
    char: flag.char,
    summary: flag.summary ?? '',
    description: flag.description,
    value: flag.type === 'boolean' ? undefined : value,
    values,
    default:
      flag.default === undefined || flag.type === 'boolean' ? undefined : String(flag.default),
    multiple: flag.multiple ?? false,
    global,
  };
}

/** Returns the words of `A|B|C`; none for other placeholders. */
function wordsOf(helpValue = ''): readonly string[] {
  return /^[a-z0-9+-]+(?:\|[a-z0-9+-]+)+$/.test(helpValue) ? helpValue.split('|') : [];
}
