import type { CommandEntry } from '../help/command-entry.ts';

/** What a placeholder stands for: `DIR` is a directory, `FILE` and `PREFIX` are files, others are nothing on disk. */
export function fileKind(placeholder: string): 'directory' | 'file' | 'none' {
  if (/\bDIR\b|^DIR/.test(placeholder)) return 'directory';
  return /^(FILE|PATH|PREFIX|PROGRAM)/.test(placeholder) ? 'file' : 'none';
}

/** The words that may follow: those of the first level under `''`, those of a topic under its name. */
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
