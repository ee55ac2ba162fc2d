import { LktError, type LktErrorCode } from './errors.ts';

/** A text file the user wrote. `path` is as the user would name it, relative to the working directory. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A place in a source file, both counted from 1; `column` counts UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - (before.lastIndexOf('\n') + 1) + 1 };
}

/** How much of a line is shown, and how much of that before the place, in UTF-16 units. */
const SHOWN = 200;
const SHOWN_BEFORE = 80;
const LEFT_OUT = '…';

/**
 * An error at a place: `path:line:col: message`, then the line and a caret under it, and `detail` under that. Of a long line what
 * is around the place.
 */
export function sourceError(
  code: LktErrorCode,
  file: SourceFile,
  at: Position,
  message: string,
  options: { fix?: string; cause?: unknown; length?: number; detail?: string } = {},
): LktError {
  const { line, column } = shown(file.text, at);
  const number = String(at.line);
  const before = line.slice(0, column - 1).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(options.length ?? 1, line.length - column + 1)));
  const excerpt = `  ${number} | ${line}\n  ${' '.repeat(number.length)} | ${before}${carets}`;
  const detail = options.detail === undefined ? excerpt : `${excerpt}\n${options.detail}`;
  return new LktError(code, `${file.path}:${at.line}:${at.column}: ${message}`, {
    ...('cause' in options ? { cause: options.cause } : {}),
    ...(options.fix === undefined ? {} : { fix: options.fix }),
    detail,
  });
}

/** The line of a place, or the part of it around the place, and where in that the place is. */
function shown(text: string, at: Position): { readonly line: string; readonly column: number } {
  const line = text.split('\n')[at.line - 1]?.replace(/\r$/, '') ?? '';
  if (line.length <= SHOWN) return { line, column: at.column };
  const from = Math.max(0, Math.min(at.column - 1 - SHOWN_BEFORE, line.length - SHOWN));
  const to = from + SHOWN;
  const [head, tail] = [from > 0 ? LEFT_OUT : '', to < line.length ? LEFT_OUT : ''];
  return {
    line: `${head}${line.slice(from, to)}${tail}`,
    column: at.column - from + head.length,
  };
}
