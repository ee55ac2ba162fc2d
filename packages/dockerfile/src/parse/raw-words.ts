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
  let index = from;
  while (index < text.length) {
    if (isSpace(text[index])) {
      index += 1;
      continue;
    }
    const start = index;
    while (index < text.length && !isSpace(text[index])) index += 1;
    words.push({ text: text.slice(start, index), start, end: index });
  }
  return words;
}

/** Reports whether a character is Unicode white space, as Go's unicode.IsSpace does. */
export function isSpace(char: string | undefined): boolean {
  if (char === undefined) return false;
  const code = char.charCodeAt(0);
  if (code <= 0x7f) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}
