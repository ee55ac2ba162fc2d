import type { Directives, Heredoc } from './ast.ts';
import { readDirectives } from './directives.ts';
import { findHeredocs, hasHeredocs } from './heredoc.ts';
import { isSpace, skipSpaces } from './raw-words.ts';
import { MappedText, type SourceText } from './source-text.ts';

/** One instruction: its physical lines joined, and the here-documents that follow it. */
export interface LogicalLine {
  readonly line: MappedText;
  readonly heredocs: readonly Heredoc[];
  /** Offset of the first character of the instruction. */
  readonly start: number;
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
  const lines: LogicalLine[] = [];
  let index = next;
  while (index < physical.length) {
    const line = physical[index];
    if (line === undefined) break;
    if (isBlankOrComment(source.file.text, line)) {
      index += 1;
      continue;
    }
    const joined = joinContinuations(source, physical, index, directives.escape);
    index = joined.next;
    let heredocs: readonly Heredoc[] = [];
    if (hasHeredocs(joined.line.text)) {
      const bodies = readHeredocs(source, physical, index, joined.line, directives.escape);
      heredocs = bodies.heredocs;
      index = bodies.next;
    }
    lines.push({
      line: joined.line,
      heredocs,
      start: joined.line.offset(0),
      end: joined.end,
      blankContinuation: joined.blank,
    });
  }
  return { directives, lines };
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

function joinContinuations(
  source: SourceText,
  physical: readonly PhysicalLine[],
  first: number,
  escape: string,
): { line: MappedText; next: number; end: number; blank: number | undefined } {
  const { text } = source.file;
  const slices: { start: number; end: number }[] = [];
  let end = physical[first]?.end ?? 0;
  let blank: number | undefined;
  let pendingBlank: number | undefined;
  let index = first;
  for (; index < physical.length; index += 1) {
    const line = physical[index];
    if (line === undefined) break;
    if (index > first && isBlankOrComment(text, line)) {
      const isBlank = skipSpaces(text, line.start, line.end) === line.end;
      if (isBlank) pendingBlank ??= line.start;
      continue;
    }
    blank ??= pendingBlank;
    const start = index === first ? skipSpaces(text, line.start, line.end) : line.start;
    const mark = continuationMark(text, { start, end: line.end }, escape);
    slices.push({ start, end: mark ?? line.end });
    end = line.end;
    if (mark === undefined) {
      index += 1;
      break;
    }
  }
  return { line: new MappedText(source, trim(text, slices), end), next: index, end, blank };
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
function trim(
  text: string,
  slices: readonly { start: number; end: number }[],
): readonly { start: number; end: number }[] {
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

function readHeredocs(
  source: SourceText,
  physical: readonly PhysicalLine[],
  first: number,
  line: MappedText,
  escape: string,
): { heredocs: readonly Heredoc[]; next: number } {
  const { text } = source.file;
  const heredocs: Heredoc[] = [];
  let index = first;
  for (const opening of findHeredocs(line, escape)) {
    const bodyStart = physical[index]?.start ?? text.length;
    let bodyEnd: number | undefined;
    while (bodyEnd === undefined) {
      const candidate = physical[index];
      if (candidate === undefined)
        throw source.error(
          opening,
          `the here-document "${opening.name}" is not terminated`,
          endFix(opening.name, text.slice(bodyStart)),
        );
      const content = text.slice(candidate.start, candidate.end);
      if ((opening.chomp ? content.replace(/^\t+/, '') : content) === opening.name) {
        bodyEnd = candidate.start;
      }
      index += 1;
    }
    heredocs.push({ ...opening, content: text.slice(bodyStart, bodyEnd) });
  }
  return { heredocs, next: index };
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
