import type { CommandEntry } from '../help/table.ts';

/** The command that prints the names of running machines. */
export const MACHINES = 'lkt completion --machines 2>/dev/null';

/** The YAML files of a workspace that are no image configs, as an extended regular expression. */
export const NO_CONFIG: string = String.raw`(build|fleet|lkt|trust)\.yml|[^/]*\.lock\.yml`;
/** The same as patterns of zsh. */
export const NO_CONFIG_PATTERNS = '(|*/)(build|fleet|lkt|trust).yml *.lock.yml';

/**
 * Returns what a placeholder completes to: `CONFIG` an image config, by its name, `MACHINE` a
 * running machine, `DIR` a directory, what may be a file to a file, others nothing.
 */
export function kindOf(placeholder: string): 'config' | 'directory' | 'file' | 'machine' | 'none' {
  if (placeholder === 'CONFIG') return 'config';
  if (placeholder === 'MACHINE') return 'machine';
  if (/\bDIR\b|^DIR/.test(placeholder)) return 'directory';
  return /^(AFTER|BEFORE|FILE|IMAGE|PATH|PROGRAM|TARGET)/.test(placeholder) ? 'file' : 'none';
}

/** Returns the subcommands of each topic; those of the first level under `''`. */
export function subcommands(
  table: readonly CommandEntry[],
): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>([['', []]]);
  for (const { name } of table) {
    const [first = '', second] = name.split(' ');
    const top = result.get('') ?? [];
    if (!top.includes(first)) top.push(first);
    if (second !== undefined) result.set(first, [...(result.get(first) ?? []), second]);
  }
  return result;
}

/** Quotes a word for bash and zsh. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
