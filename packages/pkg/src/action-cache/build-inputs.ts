import type { Store } from '@lkt/oci';
import type { BuiltPackage } from '../build/built-package.ts';
import type { Workspace } from '../workspace/workspace.ts';
import type { FileState } from './file-state.ts';
import { type ActionInputs, buildYmlStates, noTrustFiles } from './record-action.ts';

/**
 * Returns the inputs that a build of packages read: the sources of each package, and every
 * build.yml of the workspace, because any of them may declare the name that a reference uses.
 * @param before the state of the store when the build began
 */
export function buildInputs(
  workspace: Workspace,
  built: readonly BuiltPackage[],
  store: Store,
  before: ReadonlyMap<string, FileState | undefined>,
): ActionInputs {
  // A hit verifies the manifests against their digests, as the build does.
  const manifests = built.flatMap(({ index, images }) =>
    [index, ...images].map(({ digest }) => [store.blobPath(digest), digest] as const),
  );
  return {
    workspace,
    packages: built.map(({ item }) => item),
    hashes: new Map(built.map(({ item, hash }) => [item, hash])),
    files: new Map([
      ...before,
      ...noTrustFiles(workspace),
      ...buildYmlStates(workspace),
      ...manifests,
    ]),
    storePaths: store.used,
  };
}
