/**
 * Replaces fenced code and HTML comments by blanks, and each code span by one word. Keeps offsets.
 */
export function proseOf(markdown: string): string {
  return markdown
    .replace(/^([ \t]*)(```+|~~~+)[^]*?^[ \t]*\2[ \t]*$/gm, blank)
    .replace(/<!--[^]*?-->/g, blank)
    .replace(/(`+)[^`][^]*?\1/g, (span) => span.replace(/[^\n]/g, '_'));
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

/** A sentence of a paragraph or list item, with where it begins. */
export interface Sentence {
  readonly offset: number;
  readonly words: number;
}

/**
 * Returns the sentences of paragraphs and list items, but not headings and tables.
 *
 * @param prose - the result of `proseOf`
 */
export function sentencesOf(prose: string): readonly Sentence[] {
  return paragraphsOf(prose).flatMap(({ offset, text }) => {
    const ends = [...text.matchAll(/[.!?]["')*_]*\s+(?=["'(*[]*(?:[A-Z_]|lkt\b))/g)];
    const starts = [0, ...ends.map(({ index, 0: { length } }) => index + length)];
    return starts.map((start, index) => {
      const sentence = text.slice(start, starts[index + 1]);
      const words = sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}_]/u.test(word)).length;
      return { offset: offset + start, words };
    });
  });
}

interface Paragraph {
  readonly offset: number;
  readonly text: string;
}

function paragraphsOf(prose: string): readonly Paragraph[] {
  const paragraphs: { offset: number; text: string }[] = [];
  let offset = 0;
  let isOpen = false;
  for (const line of prose.split(/(?<=\n)/)) {
    const isProse = /\S/.test(line) && !/^\s*(?:#|\||<)/.test(line);
    const last = paragraphs.at(-1);
    if (isProse && isOpen && last !== undefined && !/^\s*(?:[-*+]|\d+\.)\s/.test(line))
      last.text += line;
    else if (isProse) paragraphs.push({ offset, text: line });
    isOpen = isProse;
    offset += line.length;
  }
  return paragraphs;
}
