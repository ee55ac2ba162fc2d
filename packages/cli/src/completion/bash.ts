import type { CommandEntry } from '../help/table.ts';
import { kindOf, MACHINES, NO_CONFIG, quoted, subcommands } from './kinds.ts';

/**
 * Returns a bash completion function for commands, flags, values of flags, files and directories.
 */
export function bash(table: readonly CommandEntry[]): string {
  const words = [...subcommands(table)].map(
    ([prefix, names]) => `    ${quoted(prefix)}) words=${quoted(names.join(' '))} ;;`,
  );
  const flags = table.map(
    ({ name, flags: list }) =>
      `    ${quoted(name)}) flags=${quoted(list.map((flag) => `--${flag.name}`).join(' '))} ;;`,
  );
  const values = table.flatMap(({ name, flags: list }) =>
    list.flatMap((flag) =>
      flag.value === undefined
        ? []
        : [`    ${quoted(`${name} --${flag.name}`)}) ${reply(flag.value, flag.values)}; return ;;`],
    ),
  );
  const args = table.flatMap(({ name, args: [arg] }) =>
    arg === undefined ? [] : [`    ${quoted(name)}) ${reply(arg.name, arg.values)} ;;`],
  );
  return `# bash completion for lkt
_lkt() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} name= word words= flags=
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) continue ;; esac
    case " ${table.map(({ name }) => name.replace(' ', '_')).join(' ')} ${[...subcommands(table).keys()].join(' ')} " in
    *" \${name:+\${name}_}$word "*) name=\${name:+\${name}_}$word ;;
    *) break ;;
    esac
  done
  name=\${name/_/ }
  case "$name $prev" in
${values.join('\n')}
  esac
  case $cur in
  -*)
    case $name in
${flags.join('\n')}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
    return ;;
  esac
  case $name in
${words.join('\n')}
  esac
  if [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    return
  fi
  case $name in
${args.join('\n')}
  esac
}
complete -F _lkt lkt linuxkit
`;
}

/** Lists directories, and YAML files that may be image configs. */
const CONFIGS = `compgen -d -- "$cur"; compgen -f -- "$cur" | grep -E '\\.ya?ml$' | grep -Ev '(^|/)(${NO_CONFIG})$'`;

/** Returns the command that completes a value: one of `values`, else what its placeholder says. */
function reply(placeholder: string, values: readonly string[]): string {
  if (values.length > 0)
    return `mapfile -t COMPREPLY < <(compgen -W ${quoted(values.join(' '))} -- "$cur")`;
  const kind = kindOf(placeholder);
  if (kind === 'none') return ':';
  // compgen expands words; the names are without characters that the shell expands.
  if (kind === 'machine') return `mapfile -t COMPREPLY < <(compgen -W "$(${MACHINES})" -- "$cur")`;
  const list = { config: CONFIGS, directory: 'compgen -d -- "$cur"', file: 'compgen -f -- "$cur"' };
  return `compopt -o filenames; mapfile -t COMPREPLY < <(${list[kind]})`;
}
