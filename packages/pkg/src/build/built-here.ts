import { type Digest, LktError, silentReporter } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { BuildOptions } from './build-options.ts';
import type { BuiltPackage } from './built-package.ts';
import { buildPackages } from './build.ts';
import { checkPin } from '../pins/check-pin.ts';
import type { Workspace } from '../workspace/workspace.ts';

/** Whether a package was built here from the source that its tag names. Outside git nothing says what a tag is of. */
export function isOfItsTag({ tag }: Reference, { hash }: BuiltPackage): boolean {
  return tag === undefined || tag === hash.committed;
}

/**
 * Whether an image was built here, from the source that its tag names, and has the digest that the reference names.
 * Nothing is built or pulled to find out.
 */
export async function isBuiltHere(
  workspace: Workspace,
  reference: Reference & { readonly digest: Digest },
  options: BuildOptions,
): Promise<boolean> {
  const item = workspace.find(reference);
  if (item === undefined) return false;
  const { fetchImage: _none, ...rest } = options;
  try {
    const { packages } = await buildPackages(workspace, [item], {
      ...rest,
      onlyKnown: true,
      builtHere: true,
      reporter: silentReporter,
    });
    const built = packages.find((one) => one.item === item);
    return (
      built !== undefined &&
      isOfItsTag(reference, built) &&
      (await checkPin(reference, built, options.store)) === undefined
    );
  } catch (error) {
    // Such as an error in a Dockerfile: whatever it gave when it had none is not what the sources give.
    options.signal?.throwIfAborted();
    if (error instanceof LktError) return false;
    throw error;
  }
}
