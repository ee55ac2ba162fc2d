import { styleText } from 'node:util';
import { isErrno, LktError } from '@lkt/core';
import type { AsCalled } from '../help/as-called.ts';
import { printable } from './printable.ts';

/** Returns the exit code: 0 done, 1 (or `failed`) failed, 2 invalid usage, 130 interrupted. */
export function exitCodeOf(error: unknown, failed = 1): number {
  const exit = exitOf(error);
  if (exit !== undefined) return exit;
  const known = asLktError(error);
  if (known?.code === 'USAGE_INVALID') return 2;
  return known?.code === 'INTERRUPTED' ? 130 : failed;
}

/**
 * Formats an error with its causes and fix. A bug, which is any other error than an `LktError`,
 * shows its stack.
 * @param asCalled rewrites the commands in the fix
 */
export function render(error: unknown, asCalled: AsCalled = (text) => text): string {
  if (exitOf(error) !== undefined) return '';
  const mark = styleText('red', 'error:', { stream: process.stderr });
  const known = asLktError(error);
  if (known === undefined) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${mark} this is a bug in lkt, please report it with the following lines\n${printable(stack)}`;
  }
  const lines = [known.message];
  if (known.detail !== undefined) lines.push(known.detail);
  for (const cause of causesOf(known)) lines.push(`  cause: ${cause}`);
  if (known.fix !== undefined) lines.push(`  fix: ${asCalled(known.fix)}`);
  return `${mark} ${printable(lines.join('\n'))}`;
}

/** Returns the JSON that `--json` prints for an error. */
export function errorJson(error: unknown): object {
  const known = asLktError(error);
  if (known === undefined) {
    const message = error instanceof Error ? error.message : String(error);
    const stack = error instanceof Error ? error.stack : undefined;
    return { error: { code: 'BUG', message, stack } };
  }
  const { code, message, detail, fix, report } = known;
  const causes = causesOf(known);
  return {
    error: {
      code,
      message,
      detail,
      causes: causes.length === 0 ? undefined : causes,
      fix,
      report,
    },
  };
}

/**
 * Converts an error to an `LktError`; returns undefined for a bug. A full disk is DISK_FULL
 * wherever it occurs.
 */
function asLktError(error: unknown): LktError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!isErrno(cause, 'ENOSPC', 'EDQUOT')) continue;
    return new LktError('DISK_FULL', 'the disk is full', {
      cause: error,
      fix: 'free some space; `lkt cache clean` removes data that lkt can build again',
    });
  }
  if (error instanceof LktError) return error;
  if (!(error instanceof Error)) return undefined;
  // oclif only parses command lines.
  if ('oclif' in error) return new LktError('USAGE_INVALID', error.message);
  if (error.name === 'AbortError') {
    if (error.cause instanceof LktError) return error.cause;
    return new LktError('INTERRUPTED', 'stopped');
  }
  // A failed system call: the message names the call and the path, and a stack adds nothing.
  if ('syscall' in error && 'errno' in error) return new LktError('IO_FAILED', error.message);
  return undefined;
}

function causesOf(error: LktError): readonly string[] {
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!error.message.includes(cause.message) && !causes.includes(cause.message))
      causes.push(cause.message);
  }
  return causes;
}

/** Returns the exit code in an error of oclif, after it showed help. */
function exitOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIT') return undefined;
  return (error as { readonly oclif?: { readonly exit?: number } }).oclif?.exit ?? 0;
}
