import { isErrno, LktError } from '@lkt/core';

/**
 * Runs a change of owner. The kernel rejects ids that are not mapped with EINVAL.
 * @throws LktError HOST_UNSUPPORTED for an id that is not mapped
 */
export function withOwner(what: () => string, id: number, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (isErrno(error, 'EINVAL', 'EPERM')) throw unmappedId(what(), id, error);
    throw error;
  }
}

/** Returns the error for an id that the user namespace of a rootless build lacks. */
function unmappedId(what: string, id: number, cause: unknown): LktError {
  return new LktError(
    'HOST_UNSUPPORTED',
    `${what} belongs to id ${id}, which does not exist in a build without root`,
    {
      cause,
      fix: 'install uidmap (newuidmap, newgidmap), and add a range for your user to /etc/subuid and /etc/subgid; or build as root',
    },
  );
}
