/** A word as written, and its range in the text. */
export interface RawWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Whether a quote in it is never closed. */
  readonly unbalanced?: boolean;
}

/**
 * Splits text at white space that is neither quoted nor escaped. Words keep their quotes and
 * escapes. An unclosed quote reaches to the end of the text.
 */
export function rawWords(text: string, from: number, escape: string): readonly RawWord[] {
  const words: RawWord[] = [];
  let start: number | undefined;
  let quote: string | undefined;
  for (let index = from; index < text.length; index += 1) {
    const char = text[index] ?? '';
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else if (char === escape && quote !== "'") index += 1;
      continue;
    }
    if (isSpace(char)) {
      if (start !== undefined) words.push({ text: text.slice(start, index), start, end: index });
      start = undefined;
      continue;
    }
    start ??= index;
    if (char === '"' || char === "'") quote = char;
    else if (char === escape) index += 1;
  }
  if (start !== undefined) {
    const unbalanced = quote !== undefined;
    words.push({ text: text.slice(start), start, end: text.length, unbalanced });
  }
  return words;
}

/** Splits text at white space only, as FROM, EXPOSE and COPY do. */
export function plainWords(text: string, from: number): readonly RawWord[] {
  const words: RawWord[] = [];
  for (let start = skipSpaces(text, from); start < text.length;) {
    let end = start;
    while (end < text.length && !isSpace(text[end])) end += 1;
    words.push({ text: text.slice(start, end), start, end });
    start = skipSpaces(text, end);
  }
  return words;
}

/** Returns the index of the first character from `from` that is not white space, at most `end`. */
export function skipSpaces(text: string, from: number, end: number = text.length): number {
  let index = from;
  while (index < end && isSpace(text[index])) index += 1;
  return index;
}

/** The white space of Unicode, as in Go's unicode.IsSpace. */
const SPACES: ReadonlySet<string> = new Set(
  '\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
);

export function isSpace(char: string | undefined): boolean {
  return char !== undefined && SPACES.has(char);
}

/** Splits `name=value` at the first `=`; the value is undefined without one. */
export function nameAndValue(text: string): readonly [name: string, value: string | undefined] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}
