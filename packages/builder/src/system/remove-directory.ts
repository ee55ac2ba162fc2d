import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isErrno } from '@lkt/core';
import { removeTree } from '@lkt/oci';
import { chooseNamespace } from '../worker/namespace.ts';

/**
 * Removes a directory with layers or cache mounts. Without root it may hold files of other users of
 * this user's namespace, and is then removed in that namespace.
 */
export async function removeDirectory(path: string): Promise<void> {
  try {
    await removeTree(path);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    const [program = '', ...flags] = chooseNamespace(process.geteuid?.() ?? 0).argv;
    // A later prune retries leftovers.
    await promisify(execFile)(program, [...flags, '--', 'rm', '-rf', '--', path]).catch(
      () => undefined,
    );
  }
}
