import { LktError } from '@lkt/core';
import type { Session } from '../session/session.ts';

/** The result of a check. */
export interface Finding {
  readonly name: string;
  /** `warn`: a part of lkt does not work, or not well; `fail`: nothing can be built. */
  readonly state: 'fail' | 'ok' | 'warn';
  readonly text: string;
  /** The command or edit that mends it. */
  readonly fix?: string | undefined;
}

/** A check of this machine. An LktError or a failed system call is a finding of state `fail`. */
export interface Check {
  readonly name: string;
  run(session: Session): Omit<Finding, 'name'> | Promise<Omit<Finding, 'name'>>;
}

/** Runs checks, one after the other. */
export async function runChecks(
  checks: readonly Check[],
  session: Session,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) {
    const { name } = check;
    session.signal.throwIfAborted();
    try {
      findings.push({ name, ...(await check.run(session)) });
    } catch (error) {
      if (!(error instanceof LktError) && !isSystemError(error)) throw error;
      const fix = error instanceof LktError ? error.fix : undefined;
      findings.push({ name, state: 'fail', text: error.message, fix });
    }
  }
  return findings;
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}
