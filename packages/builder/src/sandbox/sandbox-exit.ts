/** How the init of a RUN ends where no command takes its place. Nothing here returns. */
import { writeSync } from 'node:fs';
import type { SandboxFailure } from './sandbox.ts';
import { exitNow } from '../system/syscalls.ts';

/** Tells lkt that there is no sandbox, and why. */
export function fail(kind: SandboxFailure['kind'], message: string): never {
  writeSync(3, JSON.stringify({ kind, message } satisfies SandboxFailure));
  exitNow(1);
}

/** Ends as the command would, with this as the last that it says. */
export function quit(status: number, message: string): never {
  writeSync(2, `${message}\n`);
  exitNow(status);
}
