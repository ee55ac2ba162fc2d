import { execFile } from 'node:child_process';
import { isErrno } from '@lkt/core';
import { toolMissing } from '@lkt/machine';
import { ProviderError } from '../provider.ts';

/** The result of a program that ran to its end. */
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of `runTool`. */
export interface ToolOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Debian package that has the program. */
  readonly aptPackage: string;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

/**
 * Runs a provider's program without a terminal, in the C locale, and returns its output.
 * @throws TOOL_MISSING; ProviderError `unavailable` if it does not end in time, `malformed` if its
 * output exceeds 64 MiB; the signal's reason
 */
export async function runTool(
  program: string,
  args: readonly string[],
  { signal, timeoutMs, aptPackage, env }: ToolOptions,
): Promise<ToolResult> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const options = {
      signal,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { ...process.env, ...env, LC_ALL: 'C' },
    } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR'))
        reject(toolMissing(program, aptPackage));
      else if (isErrno(error, 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER'))
        reject(new ProviderError('malformed', `${program} printed more than 64 MiB`));
      else if (error?.killed === true)
        reject(new ProviderError('unavailable', `${program} did not end in ${timeoutMs / 1000} s`));
      else resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
    child.stdin?.on('error', () => undefined).end();
  });
}
