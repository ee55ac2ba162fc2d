import { type LktError, type SourceFile, sourceError } from '@lkt/core';
import { toRaw } from '@lkt/oci';
import type { WorkdirStep } from '@lkt/dockerfile';
import { accountsIn } from '../copy/accounts.ts';
import { findOwner } from '../copy/owners.ts';
import { statAt } from '../system/raw-fs.ts';
import { makeDirectories, resolveIn } from '../system/rooted.ts';

/**
 * Makes the directory of a WORKDIR and missing parents, owned by the step's user.
 * @throws LktError BUILD_FAILED if the path is not a directory, or the user does not exist
 */
export function makeWorkdir(root: string, step: WorkdirStep, file: SourceFile): void {
  const fail = (what: string): LktError => sourceError('BUILD_FAILED', file, step.position, what);
  const path = resolveIn(root, toRaw(step.path.slice(1)));
  if (path === undefined || statAt(root, path)?.isDirectory() === false)
    throw fail(`${step.path} is not a directory in the image`);
  // The user must exist only if a directory has to be made.
  if (statAt(root, path) !== undefined) return;
  const owner = findOwner(step.user, accountsIn(root));
  if (owner === undefined) throw fail(`the image has no user or group "${step.user}"`);
  makeDirectories(root, path, owner);
}
