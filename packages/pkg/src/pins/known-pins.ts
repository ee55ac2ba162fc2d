import { type Digest, LktError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { BuildTools } from '../build/build-options.ts';
import { allPlatforms } from '../workspace/platforms.ts';
import type { Package } from '../workspace/workspace.ts';

/**
 * Returns the digests in pins of a package's current sources: from the Dockerfiles of the workspace
 * and from the option `pins`. If there are any, an image of these sources from a registry must have
 * one of them.
 */
export async function knownPins(
  item: Package,
  { workspace, sources, recipes, pins = [] }: BuildTools,
): Promise<ReadonlySet<Digest>> {
  const { committed } = sources.hash(item);
  const found = new Set<Digest>();
  const add = ({ tag, digest }: Reference): void => {
    if (digest !== undefined && tag !== undefined && tag === committed) found.add(digest);
  };
  for (const reference of pins) if (workspace.find(reference) === item) add(reference);
  for (const other of workspace.packages.values()) {
    // An invalid Dockerfile has no pins.
    const recipe = await recipes(other, allPlatforms(other)).catch((error: unknown) => {
      if (!(error instanceof LktError)) throw error;
    });
    for (const use of recipe?.uses ?? []) if (use.package === item) add(use.parsed);
  }
  return found;
}
