import type { Reporter } from '@lkt/core';

/** A progress display on standard error. */
export interface Display extends Reporter {
  /** Ends the display. After a failure, shows the end of the failed steps' logs again. */
  close(failed: boolean): void;
}

/** The part of `process.stderr` that a display uses. */
export interface Screen {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

/** Returns milliseconds since any fixed time. */
export type Clock = () => number;

/** Formats a duration: `3.4s`, `2m05s`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
}

/** Formats the time that is left: `50s left`, `9m left`. */
export function left(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  return seconds < 60 ? `${seconds}s left` : `${Math.ceil(seconds / 60)}m left`;
}

/** Formats an amount: `12.4/31 MB`, `3/9`, `12.4 MB`. */
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
