import { LktError } from '@lkt/core';

/** A pattern of git refs. */
export interface RefPattern {
  /** The pattern as written. */
  readonly text: string;
  readonly matches: (ref: string) => boolean;
}

/**
 * Parses a pattern of git refs, in which `*` matches any text without a slash, also the empty text.
 * @throws CONFIG_INVALID
 * @example
 * ```ts
 * parseRefPattern('refs/tags/v*').matches('refs/tags/v1.2'); // true
 * ```
 */
export function parseRefPattern(text: string): RefPattern {
  const problem = problemOf(text);
  if (problem !== undefined)
    throw new LktError('CONFIG_INVALID', `invalid ref "${text}": ${problem}`, {
      fix: 'write it as refs/heads/main or refs/tags/v*',
    });
  const parts = text
    .split('*')
    .map((part) => part.replaceAll(/[\\^$.+?()[\]{}|]/g, String.raw`\$&`));
  const expression = new RegExp(`^${parts.join('[^/]*')}$`);
  return { text, matches: (ref) => expression.test(ref) };
}

function problemOf(text: string): string | undefined {
  if (!/^refs\/[^/]+\/[^/]/.test(text)) return 'it does not begin with refs/heads/ or refs/tags/';
  // A wildcard for the kind of ref would match pull requests.
  if (/^refs\/[^/]*\*/.test(text)) return '* cannot match the kind of ref';
  if (text.includes('**')) return '* cannot match a slash';
  return undefined;
}
