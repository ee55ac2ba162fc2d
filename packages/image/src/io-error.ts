import { isErrno, LktError } from '@lkt/core';

/** What the operating system said while `what` was done, as an error for the user. Other errors stay as they are. */
export function ioError(what: string, cause: unknown): unknown {
  if (cause instanceof LktError || !(cause instanceof Error) || !('syscall' in cause)) return cause;
  if (isErrno(cause, 'ENOSPC', 'EDQUOT')) {
    return new LktError('DISK_FULL', `no space left: ${what}`, {
      cause,
      fix: 'free some space, for example with: lkt cache clean',
    });
  }
  return new LktError('IO_FAILED', `${what}: ${cause.message}`, { cause });
}
