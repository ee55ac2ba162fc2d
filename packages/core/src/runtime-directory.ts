import { statSync } from 'node:fs';
import { isErrno } from './errors.ts';

/**
 * Returns the directory of `XDG_RUNTIME_DIR`; undefined without one, and for one of another user,
 * which `su` leaves set: its owner must be the user (XDG Base Directory Specification).
 */
export function ownRuntimeDirectory(
  variables: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const dir = variables['XDG_RUNTIME_DIR'];
  // A relative path must be ignored.
  if (dir?.startsWith('/') !== true) return undefined;
  return ownerOf(dir) === process.getuid?.() ? dir : undefined;
}

/** Returns the owner of a directory; this user for one that is not there yet. */
function ownerOf(dir: string): number | undefined {
  try {
    return statSync(dir).uid;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return process.getuid?.();
    if (isErrno(error, 'EACCES', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}
