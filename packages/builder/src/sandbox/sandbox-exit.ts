/** Exits of the init of a RUN without a command. Neither function returns. */
import { writeSync } from 'node:fs';
import type { SandboxFailure } from './sandbox.ts';
import { exitNow } from '../system/syscalls.ts';

/** Reports to lkt why the sandbox failed. */
export function fail(kind: SandboxFailure['kind'], message: string): never {
  writeSync(3, JSON.stringify({ kind, message } satisfies SandboxFailure));
  exitNow(1);
}

/** Ends like the command would, with a last message. */
export function quit(status: number, message: string): never {
  writeSync(2, `${message}\n`);
  exitNow(status);
}
