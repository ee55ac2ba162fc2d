import { LktError } from '@lkt/core';
import { supportsPlatforms } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { Build } from './build.ts';
import { type BuildOptions, knownOnly } from './build-options.ts';
import type { BuiltPackage } from './built-package.ts';

/**
 * Returns the results of packages, and of those that they use, that the store has for the current
 * sources. Builds and pulls nothing.
 */
export async function findBuilt(
  workspace: Workspace,
  items: readonly Package[],
  options: BuildOptions,
): Promise<ReadonlyMap<Package, BuiltPackage>> {
  const targets = items.filter((item) => supportsPlatforms(item, options.platforms));
  const built = await resultsOf(workspace, targets, options);
  // A target is never a pulled image, so what was built with images of collections is missing.
  const own = targets.filter((item) => item.collection === undefined && !built.has(item));
  if (own.length === 0 || workspace.collections.size === 0) return built;
  return new Map([...(await resultsOf(workspace, own, options)), ...built]);
}

async function resultsOf(
  workspace: Workspace,
  targets: readonly Package[],
  options: BuildOptions,
): Promise<ReadonlyMap<Package, BuiltPackage>> {
  const build = await Build.start(workspace, targets, knownOnly(options));
  const built = new Map<Package, BuiltPackage>();
  await Promise.all(
    build.order.map(async (item) => {
      try {
        built.set(item, await build.built(item));
      } catch (error) {
        options.signal?.throwIfAborted();
        // For example a stale pin: then the package has no result.
        if (!(error instanceof LktError)) throw error;
      }
    }),
  );
  return built;
}
