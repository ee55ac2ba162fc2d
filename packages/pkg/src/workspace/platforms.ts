import { LktError } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import type { Package } from './workspace.ts';

export const DEFAULT_PLATFORMS: readonly Platform[] = [{ os: 'linux', architecture: 'amd64' }];

/** Reports whether a package supports one of the platforms. Default: linux/amd64. */
export function supportsPlatforms(
  { arches }: Package,
  wanted: readonly Platform[] = DEFAULT_PLATFORMS,
): boolean {
  return wanted.some(({ architecture }) => arches.includes(architecture));
}

/** Returns all platforms that a package supports. */
export function allPlatforms({ arches }: Package): readonly Platform[] {
  return arches.map((architecture) => ({ os: 'linux', architecture }));
}

/**
 * Returns the platforms to build a package for: the wanted ones that it supports, in the order of
 * its `arches`, so that the order of `wanted` does not change the index.
 * @throws UNSUPPORTED if the package supports none of them
 */
export function platformsOf(
  { arches, name }: Package,
  wanted: readonly Platform[] = DEFAULT_PLATFORMS,
): readonly Platform[] {
  const platforms = arches.flatMap((arch) => wanted.filter((item) => item.architecture === arch));
  if (platforms.length > 0) return platforms;
  const list = wanted.map(({ architecture }) => architecture).join(', ');
  throw new LktError('UNSUPPORTED', `${name} supports ${arches.join(', ')}, not ${list}`, {
    fix: `use --platforms ${arches.map((arch) => `linux/${arch}`).join(',')}, or add the architecture to "arches" in build.yml`,
  });
}
