import type { CommandEntry } from '../help/table.ts';
import { kindOf, MACHINES, NO_CONFIG, subcommands } from './kinds.ts';

/** Returns a fish completion script: one `complete` line for each command, flag and value. */
export function fish(table: readonly CommandEntry[]): string {
  const groups = subcommands(table);
  const tops = [...(groups.get('') ?? [])];
  const lines = [
    '# fish completion for lkt',
    'function __lkt_at',
    '  set -l words',
    '  for word in (commandline -opc)[2..]',
    "    string match -q -- '-*' $word; or set -a words $word",
    '  end',
    '  test "$words[1..'.concat('$argv[1]]" = "$argv[2..]"'),
    'end',
    'function __lkt_configs',
    String.raw`  __fish_complete_path (commandline -ct) | string match -r '.*(?:/|\.ya?ml)(?:\t.*)?$' | string match -rv '^(.*/)?(${NO_CONFIG})(\t.*)?$'`,
    'end',
    'complete -c lkt -f',
    'complete -c linuxkit -w lkt',
  ];
  for (const top of tops) {
    const summary = table.find(({ name }) => name === top)?.summary ?? '';
    lines.push(`complete -c lkt -n '__fish_is_nth_token 1' -a ${top} -d ${quoted(summary)}`);
  }
  for (const { name, summary, flags, args } of table) {
    const words = name.split(' ');
    const at = `__lkt_at ${words.length} ${name}`;
    if (words[1] !== undefined) {
      const topic = `__lkt_at 1 ${words[0] ?? ''}; and __fish_is_nth_token 2`;
      lines.push(`complete -c lkt -n '${topic}' -a ${words[1]} -d ${quoted(summary)}`);
    }
    for (const flag of flags) {
      const short = flag.char === undefined ? '' : ` -s ${flag.char}`;
      const value = flag.value === undefined ? '' : valueOption(flag.value, flag.values);
      lines.push(
        `complete -c lkt -n '${at}' -l ${flag.name}${short}${value} -d ${quoted(flag.summary)}`,
      );
    }
    const [arg] = args;
    if (arg === undefined) continue;
    if (arg.values.length > 0)
      lines.push(`complete -c lkt -n '${at}' -a ${quoted(arg.values.join(' '))}`);
    else if (kindOf(arg.name) !== 'none')
      lines.push(`complete -c lkt -n '${at}' ${LISTS[kindOf(arg.name)]}`);
  }
  return `${lines.join('\n')}\n`;
}

const LISTS: Readonly<Record<ReturnType<typeof kindOf>, string>> = {
  config: "-a '(__lkt_configs)'",
  directory: "-a '(__fish_complete_directories)'",
  file: '-F',
  machine: `-a '(${MACHINES})'`,
  none: '',
};

function valueOption(placeholder: string, values: readonly string[]): string {
  if (values.length > 0) return ` -x -a ${quoted(values.join(' '))}`;
  const kind = kindOf(placeholder);
  if (kind === 'directory') return " -x -a '(__fish_complete_directories)'";
  return kind === 'file' ? ' -r -F' : ' -x';
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
