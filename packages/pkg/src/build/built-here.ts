import { type Digest, LktError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import { type BuildOptions, knownOnly } from './build-options.ts';
import type { BuiltPackage } from './built-package.ts';
import { buildPackages } from './build.ts';
import { checkPin } from '../pins/check-pin.ts';
import type { Workspace } from '../workspace/workspace.ts';

/**
 * Reports whether a package was built from the sources that the tag names. True outside git for a
 * reference without tag only.
 */
export function matchesItsTag({ tag }: Reference, { hash }: BuiltPackage): boolean {
  return tag === undefined || tag === hash.committed;
}

/**
 * Reports whether the store has the image as a result of the sources that its tag names, with the
 * digest of the reference. Builds and pulls nothing.
 */
export async function isBuiltHere(
  workspace: Workspace,
  reference: Reference & { readonly digest: Digest },
  options: BuildOptions,
): Promise<boolean> {
  const item = workspace.find(reference);
  if (item === undefined) return false;
  const known = { ...knownOnly(options), builtHere: true };
  try {
    const { packages } = await buildPackages(workspace, [item], known);
    const built = packages.find((one) => one.item === item);
    return (
      built !== undefined &&
      matchesItsTag(reference, built) &&
      (await checkPin(reference, built, options.store)) === undefined
    );
  } catch (error) {
    // For example, an invalid Dockerfile: an older result is not of these sources.
    options.signal?.throwIfAborted();
    if (error instanceof LktError) return false;
    throw error;
  }
}
