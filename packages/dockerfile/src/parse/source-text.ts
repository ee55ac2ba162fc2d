import { type LktError, type Position, type SourceFile, sourceError } from '@lkt/core';
import type { Span, Word } from './ast.ts';

/** A file with an index of its lines, for fast positions. */
export class SourceText {
  readonly file: SourceFile;
  /** Offset of the first character of every line. */
  readonly lineStarts: readonly number[];

  constructor(file: SourceFile) {
    this.file = file;
    const starts = [0];
    for (let at = file.text.indexOf('\n'); at !== -1; at = file.text.indexOf('\n', at + 1))
      starts.push(at + 1);
    this.lineStarts = starts;
  }

  position(offset: number): Position {
    let low = 0;
    let high = this.lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.lineStarts[low] ?? 0) + 1 };
  }

  span(start: number, end: number): Span {
    return { position: this.position(start), offset: start, length: end - start };
  }

  error(span: Span, message: string, fix?: string): LktError {
    return errorAt(this.file, span, message, fix);
  }
}

/** Returns an LktError DOCKERFILE_INVALID for a span, with its line and carets below. */
export function errorAt(file: SourceFile, span: Span, message: string, fix?: string): LktError {
  return sourceError('DOCKERFILE_INVALID', file, span.position, message, {
    length: Math.max(1, span.length),
    fix,
  });
}

/**
 * Text assembled from slices of a file, such as an instruction without its line continuations. Maps
 * every character to its offset in the file.
 */
export class MappedText {
  readonly text: string;
  readonly source: SourceText;
  /**
   * The index of each slice in `text`, and the offset of its first character in the file.
   * Ascending.
   */
  readonly #pieces: readonly { readonly at: number; readonly offset: number }[];
  /** Offset in the file of the end of the text. */
  readonly #end: number;

  constructor(source: SourceText, slices: readonly { start: number; end: number }[], end: number) {
    this.source = source;
    let text = '';
    const pieces: { at: number; offset: number }[] = [];
    for (const slice of slices) {
      if (slice.start === slice.end) continue;
      pieces.push({ at: text.length, offset: slice.start });
      text += source.file.text.slice(slice.start, slice.end);
    }
    this.text = text;
    this.#pieces = pieces;
    this.#end = end;
  }

  /** Returns the offset in the file of the character at `index`, or of the end of the text. */
  offset(index: number): number {
    if (index >= this.text.length)
      return this.text.length === 0 ? this.#end : this.offset(this.text.length - 1) + 1;
    let found = { at: 0, offset: 0 };
    for (const piece of this.#pieces) {
      if (piece.at > index) break;
      found = piece;
    }
    return found.offset + (index - found.at);
  }

  /** Returns the span of `text.slice(start, end)`. */
  span(start: number, end: number): Span {
    const from = this.offset(start);
    return this.source.span(from, end > start ? this.offset(end - 1) + 1 : from);
  }

  word(start: number, end: number): Word {
    return { ...this.span(start, end), text: this.text.slice(start, end) };
  }
}
