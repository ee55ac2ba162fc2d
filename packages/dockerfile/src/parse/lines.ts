import type { Directives, Heredoc } from './ast.ts';
import { readDirectives } from './directives.ts';
import { findHeredocs, hasHeredocs } from './heredoc.ts';
import { isSpace, skipSpaces } from './raw-words.ts';
import { MappedText, type SourceText } from './source-text.ts';

/** One instruction: its physical lines joined, and the here-documents that follow it. */
export interface LogicalLine {
  readonly line: MappedText;
  readonly heredocs: readonly Heredoc[];
  /** Offset after its last character, here-documents excluded. */
  readonly end: number;
  /** Offset of the first blank line inside the continued instruction. */
  readonly blankContinuation: number | undefined;
}

/** A Dockerfile split into logical lines. */
export interface FileLines {
  readonly directives: Directives;
  readonly lines: readonly LogicalLine[];
}

interface PhysicalLine {
  readonly start: number;
  /** Without the line break. */
  readonly end: number;
}

/**
 * Splits a Dockerfile into instructions.
 *
 * A line that ends in one escape character, ignoring trailing blanks, continues on the next line.
 * Two escape characters do not continue it. Comment lines and blank lines inside a continued
 * instruction are dropped; other blanks are kept (Dockerfile reference, "Format").
 * @throws DOCKERFILE_INVALID for invalid directives and unterminated here-documents
 */
export function readLines(source: SourceText): FileLines {
  const physical = physicalLines(source);
  const { directives, next } = readDirectives(source, physical);
  return { directives, lines: new LineReader(source, physical, directives.escape, next).lines() };
}

class LineReader {
  readonly #source: SourceText;
  readonly #text: string;
  readonly #physical: readonly PhysicalLine[];
  readonly #escape: string;
  /** Index of the next physical line. */
  #next: number;

  constructor(source: SourceText, physical: readonly PhysicalLine[], escape: string, next: number) {
    this.#source = source;
    this.#text = source.file.text;
    this.#physical = physical;
    this.#escape = escape;
    this.#next = next;
  }

  lines(): readonly LogicalLine[] {
    const lines: LogicalLine[] = [];
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (isBlankOrComment(this.#text, next)) {
        this.#next += 1;
        continue;
      }
      const joined = this.#join(next);
      const heredocs = hasHeredocs(joined.line.text) ? this.#heredocs(joined.line) : [];
      lines.push({ ...joined, heredocs });
    }
    return lines;
  }

  #peek(): PhysicalLine | undefined {
    return this.#physical[this.#next];
  }

  /** Joins an instruction's first line and its continuations. */
  #join(first: PhysicalLine): Omit<LogicalLine, 'heredocs'> {
    const text = this.#text;
    const slices: PhysicalLine[] = [];
    let { end } = first;
    let blankContinuation: number | undefined;
    let pendingBlank: number | undefined;
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      this.#next += 1;
      if (next !== first && isBlankOrComment(text, next)) {
        const isBlank = skipSpaces(text, next.start, next.end) === next.end;
        if (isBlank) pendingBlank ??= next.start;
        continue;
      }
      blankContinuation ??= pendingBlank;
      const start = next === first ? skipSpaces(text, next.start, next.end) : next.start;
      const mark = continuationMark(text, { start, end: next.end }, this.#escape);
      slices.push({ start, end: mark ?? next.end });
      end = next.end;
      if (mark === undefined) break;
    }
    return { line: new MappedText(this.#source, trim(text, slices), end), end, blankContinuation };
  }

  #heredocs(line: MappedText): readonly Heredoc[] {
    return findHeredocs(line).map((opening) => {
      const start = this.#peek()?.start ?? this.#text.length;
      for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
        this.#next += 1;
        const content = this.#text.slice(next.start, next.end);
        if ((opening.chomp ? content.replace(/^\t+/, '') : content) === opening.name)
          return { ...opening, content: this.#text.slice(start, next.start) };
      }
      throw this.#source.error(
        opening,
        `the here-document "${opening.name}" is not terminated`,
        endFix(opening.name, this.#text.slice(start)),
      );
    });
  }
}

function physicalLines(source: SourceText): readonly PhysicalLine[] {
  const { text } = source.file;
  return source.lineStarts.map((lineStart, index) => {
    const start = index === 0 && text.startsWith('\uFEFF') ? 1 : lineStart;
    const next = source.lineStarts[index + 1];
    let end = next === undefined ? text.length : next - 1;
    if (next !== undefined && end > start && text[end - 1] === '\r') end -= 1;
    return { start, end };
  });
}

/** Returns the offset of the escape character that continues the line. */
function continuationMark(text: string, line: PhysicalLine, escape: string): number | undefined {
  let at = line.end;
  while (at > line.start && (text[at - 1] === ' ' || text[at - 1] === '\t')) at -= 1;
  if (at === line.start || text[at - 1] !== escape) return undefined;
  if (at - 1 > line.start && text[at - 2] === escape) return undefined;
  return at - 1;
}

/** Removes the blanks around the whole instruction, across its slices. */
function trim(text: string, slices: readonly PhysicalLine[]): readonly PhysicalLine[] {
  const kept = slices.map((slice) => ({ ...slice }));
  for (const slice of kept) {
    while (slice.start < slice.end && isSpace(text[slice.start])) slice.start += 1;
    if (slice.start < slice.end) break;
  }
  for (const slice of kept.toReversed()) {
    while (slice.end > slice.start && isSpace(text[slice.end - 1])) slice.end -= 1;
    if (slice.end > slice.start) break;
  }
  return kept;
}

/** @param rest the text after the line that opens the here-document */
function endFix(name: string, rest: string): string {
  const isIndented = rest.split('\n').some((line) => line.trim() === name);
  return isIndented
    ? `remove the blanks around the closing ${name}, or write <<-${name} and indent with tabs`
    : `add a line with only ${name}`;
}

function isBlankOrComment(text: string, { start, end }: PhysicalLine): boolean {
  const first = skipSpaces(text, start, end);
  return first === end || text[first] === '#';
}
