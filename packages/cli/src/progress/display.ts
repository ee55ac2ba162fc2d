import type { Reporter } from '@lkt/core';

/** Draws progress on standard error. */
export interface Display extends Reporter {
  /** Ends the drawing. After a failure the end of the failing steps' logs is shown once more. */
  close(failed: boolean): void;
}

/** Where a display writes, as far as it looks at it. `process.stderr` is one. */
export interface Screen {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

/** Milliseconds, from any start. */
export type Clock = () => number;

/** `3.4s`, `2m05s`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
}

/** `12.4/31 MB`, `3/9`, `12.4 MB`. */
export function amount(
  current: number,
  total: number | undefined,
  unit: 'bytes' | 'items',
): string {
  if (unit === 'items') return total === undefined ? String(current) : `${current}/${total}`;
  return total === undefined
    ? `${megabytes(current)} MB`
    : `${megabytes(current)}/${megabytes(total)} MB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
