import { type Digest, LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  loadImage,
  MediaType,
  parseReference,
  type Platform,
  type Reference,
} from '@lkt/oci';
import { isCalculated } from '../build-yml/build-args.ts';
import type { BuildTools } from './build-tools.ts';
import type { OtherImages } from './other-images.ts';
import type { ReferenceProblem } from '../pins/check-pin.ts';
import type { Recipe } from './recipe.ts';
import { writeResult } from './results.ts';
import type { Package } from '../workspace/workspace.ts';

/** A build whose result may be pulled instead. */
export interface PullableBuild {
  readonly item: Package;
  readonly key: string;
  readonly platform: Platform;
  /** Undefined for a package with a `debian` block. */
  readonly recipe: Recipe | undefined;
}

/**
 * Pulls the image of a package if the workspace pins its current sources and the policies allow it.
 * Warns about errors, except if the registry lacks the image.
 * @returns undefined if the image must be built
 */
export async function pullPackage(
  { item, key, platform, recipe }: PullableBuild,
  { store, pullPackages = false, others, pins, reporter, signal }: BuildTools,
): Promise<Descriptor | undefined> {
  const fetchImage = others.fetchImage;
  if (!pullPackages || fetchImage === undefined) return undefined;
  if (!isDeterminedBySources(item, recipe)) return undefined;
  for (const digest of await pins()) {
    const reference = pulledReference(item, digest);
    const warn = (why: string): void => {
      const text = `${familiarReference(reference)} cannot be pulled, so it is built here: ${why}`;
      reporter.emit({ kind: 'warning', text });
    };
    const refused = await policyViolation(item, digest, others);
    if (refused !== undefined) {
      warn(refused.message);
      continue;
    }
    try {
      await fetchImage(reference, [platform], false);
      const { descriptor } = await loadImage(store, digest, platform);
      const image = { ...descriptor, mediaType: MediaType.ociManifest, platform };
      await writeResult(store, key, image, digest);
      return image;
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
  others: OtherImages,
): Promise<ReferenceProblem | undefined> {
  return others.requireTrusted?.(pulledReference(item, digest));
}

function pulledReference(
  { name }: Package,
  digest: Digest,
): Reference & { readonly digest: Digest } {
  return { ...parseReference(name), digest };
}

/**
 * Reports whether the source hash determines the image, so that a pin with this hash is of this
 * build. False with arguments of the command line, and with references to current packages.
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
