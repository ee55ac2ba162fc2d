import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isErrno } from '@lkt/core';
import { removeTree } from '@lkt/oci';
import { chooseNamespace } from '../worker/namespace.ts';

/**
 * Removes a directory with layers or cache mounts in it, which without root may hold files of other users: those of this
 * user's namespace, in which it is done then.
 */
export async function removeDirectory(path: string): Promise<void> {
  try {
    await removeTree(path);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    const [program = '', ...flags] = chooseNamespace(process.geteuid?.() ?? 0).argv;
    // What cannot be removed in this way either is found again by the next who looks for what the dead have left.
    await promisify(execFile)(program, [...flags, '--', 'rm', '-rf', '--', path]).catch(
      () => undefined,
    );
  }
}
