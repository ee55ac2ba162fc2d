import type { Heredoc } from './ast.ts';
import { rawWords } from './raw-words.ts';
import type { MappedText } from './source-text.ts';

export type HeredocOpening = Omit<Heredoc, 'content'>;

const INSTRUCTION = /^(?:ONBUILD\s+)*(?:RUN|COPY|ADD)\s.*<</is;
const OPENING = /^(\d*)<<(-?)([^<]+)$/s;

/** Whether the instruction may open here-documents at all. A quick look: `findHeredocs` decides. */
export function hasHeredocs(text: string): boolean {
  return INSTRUCTION.test(text);
}

/**
 * The here-documents a line opens: words such as `<<EOF`, `3<<-EOF`, `<<"EOF"`. A word is one only as a whole, so
 * `"<<EOF"` and `cat<<EOF` are not. In a line with a quote that is never closed nothing is one.
 */
export function findHeredocs(line: MappedText, escape: string): readonly HeredocOpening[] {
  const openings: HeredocOpening[] = [];
  const words = rawWords(line.text, 0, escape);
  const last = words.at(-1);
  if (last?.unbalanced === true && !/^\d*<</.test(last.text)) return [];
  for (const word of words) {
    const opening = parseHeredoc(word.text);
    if (opening === undefined) continue;
    if (opening === 'unbalanced') {
      throw line.error(
        word.start,
        word.end,
        `the name of the here-document ${word.text} has a quote without its partner`,
        'close the quote',
      );
    }
    openings.push({ ...line.span(word.start, word.end), ...opening });
  }
  return openings;
}

type OpeningFacts = Pick<Heredoc, 'name' | 'expand' | 'chomp' | 'descriptor'>;

/** undefined for a word that is no here-document. */
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

/** Without the tabs at the start of every line, as `<<-` asks. */
export function chompTabs(content: string): string {
  return content.replaceAll(/^\t+/gm, '');
}
