import { LktError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { Workspace } from '@lkt/pkg';

/**
 * Rejects the name of a package without registry and digest: its tags are hashes of its sources,
 * and no registry has others.
 * @param fix returns the command for the directory of the package
 * @throws LktError USAGE_INVALID; NOT_FOUND for a missing package of the workspace or a collection
 */
export function rejectPackageName(
  workspace: Workspace,
  name: Reference,
  fix: (dir: string) => string,
): void {
  const missing = workspace.missingPackage(name);
  if (missing !== undefined) throw missing;
  const item = workspace.find(name);
  if (item === undefined) return;
  const owner = item.collection === undefined ? 'this workspace' : 'a collection';
  throw new LktError('USAGE_INVALID', `${item.name} is a package of ${owner}, without a digest`, {
    fix: fix(workspace.displayPath(item.dir)),
  });
}
