import type { Heredoc } from './ast.ts';
import { rawWords } from './raw-words.ts';
import type { MappedText } from './source-text.ts';

/** The word that opens a here-document. */
export type HeredocOpening = Omit<Heredoc, 'content'>;

const INSTRUCTION = /^(?:ONBUILD\s+)*(?:RUN|COPY|ADD)\s.*<</is;
const OPENING = /^(\d*)<<(-?)([^<]+)$/s;

/**
 * Reports whether the instruction may open here-documents. This is a fast pre-check for
 * `findHeredocs`.
 */
export function hasHeredocs(text: string): boolean {
  return INSTRUCTION.test(text);
}

/**
 * Returns the here-documents that a line opens: words such as `<<EOF`, `3<<-EOF` and `<<"EOF"`.
 * Only a whole word counts, so `"<<EOF"` and `cat<<EOF` do not. A line with an unclosed quote opens
 * none. As in BuildKit, a backslash escapes here, whatever the directive says.
 * @throws DOCKERFILE_INVALID for an unclosed quote in a name
 */
export function findHeredocs(line: MappedText): readonly HeredocOpening[] {
  const openings: HeredocOpening[] = [];
  const words = rawWords(line.text, 0, '\\');
  const last = words.at(-1);
  if (last?.unbalanced === true && !/^\d*<</.test(last.text)) return [];
  for (const word of words) {
    const opening = parseHeredoc(word.text);
    if (opening === undefined) continue;
    if (opening === 'unbalanced')
      throw line.source.error(
        line.span(word.start, word.end),
        `the here-document name ${word.text} has an unclosed quote`,
        'close the quote',
      );
    openings.push({ ...line.span(word.start, word.end), ...opening });
  }
  return openings;
}

type OpeningFacts = Pick<Heredoc, 'name' | 'expand' | 'chomp' | 'descriptor'>;

/** Parses a word that opens a here-document; undefined for any other word. */
export function parseHeredoc(word: string): OpeningFacts | 'unbalanced' | undefined {
  const match = OPENING.exec(word);
  if (match === null) return undefined;
  const [, descriptor = '', dash = '', rest = ''] = match;
  if (/\s/.test(rest.replaceAll(/'[^']*'|"[^"]*"/g, ''))) return undefined;
  let name = '';
  let quoted = false;
  for (let index = 0; index < rest.length; index += 1) {
    const char = rest[index] ?? '';
    if (char === '\\') {
      index += 1;
      name += rest[index] ?? '';
    } else if (char === "'" || char === '"') {
      const close = rest.indexOf(char, index + 1);
      if (close === -1) return 'unbalanced';
      quoted = true;
      name += rest.slice(index + 1, close);
      index = close;
    } else {
      name += char;
    }
  }
  if (name === '') return undefined;
  return { name, expand: !quoted, chomp: dash === '-', descriptor: Number(descriptor) };
}

/** Returns the body of a here-document, for `<<-` without the tabs at the start of its lines. */
export function bodyOf({ content, chomp }: Heredoc): string {
  return chomp ? content.replaceAll(/^\t+/gm, '') : content;
}

/** Reports whether the name of a here-document can name its file. */
export function isFileName(name: string): boolean {
  return /^[^/]+$/.test(name) && name !== '.' && name !== '..';
}
