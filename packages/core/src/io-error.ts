import { isErrno, LktError } from './errors.ts';

/**
 * Converts an operating system error into an LktError (IO_FAILED or DISK_FULL) whose message begins
 * with `what`; returns other errors unchanged.
 */
export function ioError(what: string, cause: unknown): unknown {
  if (cause instanceof LktError || !(cause instanceof Error) || !('syscall' in cause)) return cause;
  if (isErrno(cause, 'ENOSPC', 'EDQUOT')) {
    return new LktError('DISK_FULL', `no space left: ${what}`, {
      cause,
      fix: 'free some space, for example with: lkt cache clean',
    });
  }
  const fix = isErrno(cause, 'EIO') ? 'look for errors of the disk: dmesg' : undefined;
  return new LktError('IO_FAILED', `${what}: ${cause.message}`, { cause, fix });
}
