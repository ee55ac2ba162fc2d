import { lchownSync } from 'node:fs';
import { isErrno, LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { Owner } from '../copy/owners.ts';
import { MAP_IDS } from './map-ids.ts';
import { pathAt } from './raw-fs.ts';

/**
 * Sets the owner of a file below a directory; does not follow a link.
 * @param name of the file in an error; default: its path
 * @throws LktError HOST_UNSUPPORTED for an id that the user namespace of a rootless build lacks
 */
export function setOwner(
  directory: string,
  path: RawPath,
  { uid, gid }: Owner,
  name?: string,
): void {
  try {
    lchownSync(pathAt(directory, path), uid, gid);
  } catch (error) {
    // The kernel rejects ids that are not mapped.
    if (!isErrno(error, 'EINVAL', 'EPERM')) throw error;
    const [what, id] = [name ?? `/${fromRaw(path)}`, uid === 0 ? gid : uid];
    throw new LktError(
      'HOST_UNSUPPORTED',
      `${what} belongs to id ${id}, which does not exist in a build without root`,
      { cause: error, fix: MAP_IDS },
    );
  }
}
