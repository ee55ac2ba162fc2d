import { type Digest, LktError, type Reporter } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  loadImage,
  MediaType,
  parseReference,
  type Platform,
  type Reference,
  type Store,
} from '@lkt/oci';
import { isCalculated } from '../build-yml/build-args.ts';
import type { OtherImages } from './other-images.ts';
import type { ReferenceProblem } from '../pins/check-pin.ts';
import type { Recipe } from './recipe.ts';
import { writeResult } from './results.ts';
import type { Package } from '../workspace/workspace.ts';

/** A build that need not be made if its result can be pulled. */
export interface PullableBuild {
  readonly item: Package;
  readonly key: string;
  readonly platform: Platform;
  /** undefined for a package of .debs. */
  readonly recipe: Recipe | undefined;
}

interface PullTools {
  readonly store: Store;
  readonly pullPackages?: boolean;
  readonly others?: OtherImages;
  /** What the package is pinned with. */
  readonly pins?: () => Promise<ReadonlySet<Digest>>;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The image of a package from its registry, where the workspace has a pin of what its sources are now, and policies let
 * it be used. What stands in the way is a warning, unless it is only that the registry has it not: then it is built.
 */
export async function pulledPackage(
  { item, key, platform, recipe }: PullableBuild,
  { store, pullPackages = false, others, pins, reporter, signal }: PullTools,
): Promise<Descriptor | undefined> {
  const fetchImage = others?.fetchImage;
  if (!pullPackages || fetchImage === undefined) return undefined;
  if (!isOfItsSources(item, recipe)) return undefined;
  for (const digest of (await pins?.()) ?? []) {
    const reference = pulledReference(item, digest);
    const warn = (why: string): void => {
      const text = `${familiarReference(reference)} is not pulled, and is built here: ${why}`;
      reporter.emit({ kind: 'warning', text });
    };
    const refused = await mayUse(item, digest, others);
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

/** Why policies forbid the use of what was pulled by this digest; undefined if they do not. */
export async function mayUse(
  item: Package,
  digest: Digest,
  others: OtherImages | undefined,
): Promise<ReferenceProblem | undefined> {
  return others?.requireTrusted?.(pulledReference(item, digest));
}

function pulledReference(
  { name }: Package,
  digest: Digest,
): Reference & { readonly digest: Digest } {
  return { ...parseReference(name), digest };
}

/**
 * Whether the hash of the sources says all that the image is made from, so that a pin with this hash is of this build. It
 * does not for arguments of the command line, and where another package is meant as it is now.
 */
function isOfItsSources({ buildArgs }: Package, recipe: Recipe | undefined): boolean {
  if (recipe === undefined) return true;
  return (
    recipe.tagSuffix === '' &&
    buildArgs.every(({ value }) => !isCalculated(value)) &&
    recipe.uses.every(({ parsed }) => parsed.digest !== undefined) &&
    recipe.archived.every(({ reference }) => reference.digest !== undefined)
  );
}
