import { type Digest, LktError } from '@lkt/core';
import { familiarReference, loadImage, MediaType, parseReference, type Reference } from '@lkt/oci';
import { isCalculated } from '../build-yml/build-args.ts';
import type { BuildTools } from './build-options.ts';
import type { KeyedInputs } from './plan-image.ts';
import type { ReferenceProblem } from '../pins/check-pin.ts';
import type { Recipe } from './recipe.ts';
import { type BuildResult, writeResult } from './results.ts';
import { allPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/**
 * Pulls the image of a package by one of its pins, if its sources determine it and the policies
 * allow it. Warns about errors, except if the registry lacks the image.
 * @returns undefined if the image must be built
 */
export async function pullPackage(
  item: Package,
  { key, platform, recipe }: KeyedInputs,
  pins: ReadonlySet<Digest>,
  tools: BuildTools,
): Promise<BuildResult | undefined> {
  const { store, pullPackages = false, fetchImage, reporter, signal } = tools;
  if (!pullPackages || fetchImage === undefined) return undefined;
  if (!isDeterminedBySources(item, recipe)) return undefined;
  for (const pin of pins) {
    const reference = pulledReference(tools.workspace, item, pin);
    const warn = (why: string): void => {
      const text = `${familiarReference(reference)} cannot be pulled, so it is built here: ${why}`;
      reporter.emit({ kind: 'warning', text });
    };
    const refused = await policyViolation(item, pin, tools);
    if (refused !== undefined) {
      warn(refused.message);
      continue;
    }
    try {
      await fetchImage(reference, [platform], false);
      const { descriptor } = await loadImage(store, pin, platform);
      const image = { ...descriptor, mediaType: MediaType.ociManifest, platform };
      await writeResult(store, key, { image, pin });
      return { image, pin };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
      if (error.code !== 'NOT_FOUND') warn(error.message);
    }
  }
  return undefined;
}

/**
 * Returns the policy violation by a pulled image of the package, or undefined if it may be used.
 */
export async function policyViolation(
  item: Package,
  digest: Digest,
  { requireTrusted, sources, workspace }: BuildTools,
): Promise<ReferenceProblem | undefined> {
  // Statements of rebuilders are about the sources that the tag names.
  const tag = sources.hash(item).committed;
  const reference = { ...pulledReference(workspace, item, digest), tag };
  return requireTrusted?.(reference, workspace, item);
}

/**
 * Returns the digests in pins of a package's current sources: from the Dockerfiles of the workspace
 * and from the option `pins`. If there are any, an image of these sources from a registry must have
 * one of them.
 */
export async function knownPins(
  item: Package,
  { workspace, sources, namesOnly, pins = [] }: BuildTools,
): Promise<ReadonlySet<Digest>> {
  const { committed } = sources.hash(item);
  const found = new Set<Digest>();
  const add = ({ tag, digest }: Reference): void => {
    if (digest !== undefined && tag !== undefined && tag === committed) found.add(digest);
  };
  for (const reference of pins) if (workspace.find(reference) === item) add(reference);
  for (const other of workspace.packages.values()) {
    // An invalid Dockerfile has no pins.
    const recipe = await namesOnly(other, allPlatforms(other)).catch((error: unknown) => {
      if (!(error instanceof LktError)) throw error;
    });
    for (const use of recipe?.uses ?? []) if (use.package === item) add(use.parsed);
  }
  return found;
}

function pulledReference(
  workspace: Workspace,
  { name }: Package,
  digest: Digest,
): Reference & { readonly digest: Digest } {
  return { ...workspace.locate(parseReference(name)), digest };
}

/**
 * Reports whether the source hash determines the image, so that a pin with this hash is a pin of
 * this build. False with arguments of the command line, and with references to current packages.
 */
function isDeterminedBySources({ buildArgs }: Package, recipe: Recipe | undefined): boolean {
  if (recipe === undefined) return true;
  return (
    recipe.tagSuffix === '' &&
    buildArgs.every(({ value }) => !isCalculated(value)) &&
    recipe.uses.every(({ parsed }) => parsed.digest !== undefined) &&
    recipe.archived.every(({ reference }) => reference.digest !== undefined)
  );
}
