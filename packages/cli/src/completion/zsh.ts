import type { ArgEntry, CommandEntry, FlagEntry } from '../help/table.ts';
import { kindOf, MACHINES, NO_CONFIG_PATTERNS, quoted, subcommands } from './kinds.ts';

/**
 * Returns a zsh completion function, for a file named `_lkt` in `$fpath`, or to source after
 * `compinit`.
 */
export function zsh(table: readonly CommandEntry[]): string {
  const groups = subcommands(table);
  const describe = (prefix: string): string =>
    (groups.get(prefix) ?? [])
      .map((word) => {
        const name = prefix === '' ? word : `${prefix} ${word}`;
        const summary = table.find((entry) => entry.name === name)?.summary ?? '';
        return quoted(`${word}${summary === '' ? '' : `:${summary}`}`);
      })
      .join(' ');
  const cases = table.map(
    ({ name, flags, args }) =>
      `    ${quoted(name)}) _arguments -S ${[...flags.map(flagSpec), ...args.map(argSpec)].join(' ')} ;;`,
  );
  const topics = [...groups.keys()].filter((key) => key !== '');
  return `#compdef lkt linuxkit
_lkt() {
  local name=$words[2] context state line
  typeset -A opt_args
  case $name in
  ${topics.join('|')})
    if (( CURRENT == 3 )); then
      local -a list
      case $name in
${topics.map((topic) => `      ${topic}) list=(${describe(topic)}) ;;`).join('\n')}
      esac
      _describe command list
      return
    fi
    name="$words[2] $words[3]"
    shift 2 words; (( CURRENT -= 2 )) ;;
  *)
    if (( CURRENT == 2 )); then
      local -a list=(${describe('')})
      _describe command list
      return
    fi
    shift words; (( CURRENT -= 1 )) ;;
  esac
  case $name in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _lkt ]; then _lkt "$@"; else compdef _lkt lkt linuxkit; fi
`;
}

function flagSpec(flag: FlagEntry): string {
  const description = `[${escaped(flag.summary)}]`;
  const repeat = flag.multiple ? '*' : '';
  const value =
    flag.value === undefined ? '' : `:${escaped(flag.name)}:${action(flag.value, flag.values)}`;
  return quoted(`${repeat}--${flag.name}${description}${value}`);
}

function argSpec(arg: ArgEntry, index: number): string {
  const position = arg.multiple ? '*' : arg.required ? `${index + 1}` : `${index + 1}:`;
  return quoted(`${position}:${escaped(arg.name)}:${action(arg.name, arg.values)}`);
}

function action(placeholder: string, values: readonly string[]): string {
  if (values.length > 0) return `(${values.join(' ')})`;
  const kind = kindOf(placeholder);
  if (kind === 'directory') return '_files -/';
  if (kind === 'config') return `_files -g "*.(yml|yaml)" -F "(${NO_CONFIG_PATTERNS})"`;
  if (kind === 'machine') return `{compadd -- \${(f)"$(${MACHINES})"}}`;
  return kind === 'file' ? '_files' : ' ';
}

function escaped(text: string): string {
  return text.replaceAll(/[\\:[\]]/g, String.raw`\$&`);
}
