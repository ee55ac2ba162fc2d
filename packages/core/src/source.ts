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

/** An error at a place: `path:line:col: message`, then the line and a caret under it, and `detail` under that. */
export function sourceError(
  code: LktErrorCode,
  file: SourceFile,
  at: Position,
  message: string,
  options: { fix?: string; cause?: unknown; length?: number; detail?: string } = {},
): LktError {
  const line = file.text.split('\n')[at.line - 1]?.replace(/\r$/, '') ?? '';
  const number = String(at.line);
  const before = line.slice(0, at.column - 1).replaceAll(/[^\t]/g, ' ');
  const carets = '^'.repeat(
    Math.max(1, Math.min(options.length ?? 1, line.length - at.column + 1)),
  );
  const excerpt = `  ${number} | ${line}\n  ${' '.repeat(number.length)} | ${before}${carets}`;
  const detail = options.detail === undefined ? excerpt : `${excerpt}\n${options.detail}`;
  return new LktError(code, `${file.path}:${at.line}:${at.column}: ${message}`, {
    ...('cause' in options ? { cause: options.cause } : {}),
    ...(options.fix === undefined ? {} : { fix: options.fix }),
    detail,
  });
}
