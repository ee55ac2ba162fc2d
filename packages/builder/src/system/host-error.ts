import { isErrno, LktError } from '@lkt/core';

/** Runs what sets an owner; the kernel says EINVAL to ids that are not mapped. */
export function withOwner(what: () => string, id: number, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (isErrno(error, 'EINVAL', 'EPERM')) throw unmappedId(what(), id, error);
    throw error;
  }
}

/** The error for a user id that the user namespace of a rootless build does not have. */
function unmappedId(what: string, id: number, cause: unknown): LktError {
  return new LktError(
    'HOST_UNSUPPORTED',
    `${what} belongs to id ${id}, which does not exist for a build without root`,
    {
      cause,
      fix: 'install uidmap (newuidmap, newgidmap) and give yourself a range in /etc/subuid and /etc/subgid, or build as root',
    },
  );
}
