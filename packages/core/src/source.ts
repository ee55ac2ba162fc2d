import { LktError, type LktErrorCode } from './errors.ts';

/** A text file written by the user. `path` is relative to the working directory, as in messages. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A position in a source file. Both numbers start at 1; `column` counts UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Maximum length of an excerpt and of its part before the position, in UTF-16 units. */
const MAX_EXCERPT = 200;
const MAX_EXCERPT_BEFORE = 80;
const ELLIPSIS = '…';

/**
 * Returns an error at a position in a file: `path:line:col: message`. Its `detail` shows the line
 * with a caret, then `options.detail`. A long line is shortened around the position.
 * @example
 * ```ts
 * throw sourceError('CONFIG_INVALID', file, { line: 3, column: 5 }, 'unknown key "imgae"');
 * ```
 */
export function sourceError(
  code: LktErrorCode,
  file: SourceFile,
  at: Position,
  message: string,
  options: { fix?: string; cause?: unknown; length?: number; detail?: string } = {},
): LktError {
  const { line, column } = excerptAt(file.text, at);
  const number = String(at.line);
  const before = line.slice(0, column - 1).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(options.length ?? 1, line.length - column + 1)));
  const excerpt = `  ${number} | ${line}\n  ${' '.repeat(number.length)} | ${before}${carets}`;
  const detail = options.detail === undefined ? excerpt : `${excerpt}\n${options.detail}`;
  const where = `${file.path}:${at.line}:${at.column}`;
  return new LktError(code, `${where}: ${message}`, { ...options, detail });
}

/** Returns the excerpt of a line around a position, and the column within the excerpt. */
function excerptAt(text: string, at: Position): { readonly line: string; readonly column: number } {
  const line = text.split('\n')[at.line - 1]?.replace(/\r$/, '') ?? '';
  if (line.length <= MAX_EXCERPT) return { line, column: at.column };
  const from = Math.max(0, Math.min(at.column - 1 - MAX_EXCERPT_BEFORE, line.length - MAX_EXCERPT));
  const to = from + MAX_EXCERPT;
  const [head, tail] = [from > 0 ? ELLIPSIS : '', to < line.length ? ELLIPSIS : ''];
  return {
    line: `${head}${line.slice(from, to)}${tail}`,
    column: at.column - from + head.length,
  };
}
