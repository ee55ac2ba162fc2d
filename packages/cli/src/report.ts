import { styleText } from 'node:util';
import { LktError } from '@lkt/core';
import { Errors } from '@oclif/core';

/** 0 done, 1 it failed, 2 it was asked wrongly; `this.exit(n)` in a command wins. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Errors.CLIError) return error.oclif.exit ?? 2;
  return 1;
}

/** The problem, its causes, and what to do next. A bug (any other error) shows its stack. */
export function render(error: unknown): string {
  if (error instanceof Errors.ExitError) return '';
  if (!(error instanceof LktError || error instanceof Errors.CLIError)) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const lines = [`${styleText('red', 'error:', { stream: process.stderr })} ${error.message}`];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    lines.push(`  cause: ${cause.message}`);
  }
  if (error instanceof LktError && error.fix !== undefined) lines.push(`  fix: ${error.fix}`);
  return lines.join('\n');
}
