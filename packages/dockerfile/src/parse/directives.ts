import type { Directives, Word } from './ast.ts';
import type { SourceText } from './source-text.ts';

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.*?)[ \t]*$/d;
const KNOWN: ReadonlySet<string> = new Set(['syntax', 'escape', 'check']);

/**
 * Parses the parser directives at the top of a file. A `#!` line may come first. The first line
 * that is not a known directive ends them, also a comment (Dockerfile reference, "Parser
 * directives").
 * @returns the directives, and the index of the first physical line after them
 * @throws DOCKERFILE_INVALID for a repeated directive or an invalid escape character
 */
export function readDirectives(
  source: SourceText,
  lines: readonly { readonly start: number; readonly end: number }[],
): { directives: Directives; next: number } {
  const found = new Map<string, Word>();
  let next = 0;
  for (const [index, line] of lines.entries()) {
    const text = source.file.text.slice(line.start, line.end);
    if (index === 0 && text.startsWith('#!')) {
      next = 1;
      continue;
    }
    const match = DIRECTIVE.exec(text);
    const name = match?.[1]?.toLowerCase();
    const span = match?.indices?.[2];
    if (match === null || name === undefined || span === undefined || !KNOWN.has(name)) break;
    const value: Word = {
      ...source.span(line.start + span[0], line.start + span[1]),
      text: match[2] ?? '',
    };
    if (found.has(name))
      throw source.error(
        source.span(line.start, line.end),
        `the directive "${name}" is given twice`,
        'remove one of them',
      );
    found.set(name, value);
    next = index + 1;
  }
  const escape = found.get('escape');
  if (escape !== undefined && escape.text !== '\\' && escape.text !== '`')
    throw source.error(
      escape,
      `"${escape.text}" cannot be the escape character`,
      'use \\ or ` as the escape character',
    );
  return {
    directives: {
      syntax: found.get('syntax'),
      escape: escape?.text === '`' ? '`' : '\\',
      check: found.get('check'),
    },
    next,
  };
}
