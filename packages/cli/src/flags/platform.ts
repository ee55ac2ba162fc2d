import { LktError } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import type { Package } from '@lkt/pkg';
import { type FlagValues, listFlag, valueFlag } from './options.ts';

/** The flag of commands that read one platform of an image. */
export const platformFlag = {
  platform: valueFlag('linux/ARCH', 'platform to read of a multi-platform image', {
    default: 'linux/amd64',
  }),
};

/** The flags that select the platforms of packages, named as in LinuxKit. */
export const platformFlags = {
  platforms: listFlag('linux/amd64,…', 'platforms to build for; default: linux/amd64', {
    delimiter: ',',
  }),
  'skip-platforms': listFlag('linux/arm64,…', 'build for all platforms in build.yml but these', {
    delimiter: ',',
    exclusive: ['platforms'],
  }),
};

/**
 * Returns the platforms that the flags select; undefined if no flag is given.
 * @throws LktError USAGE_INVALID if no platform is left
 */
export async function wantedPlatforms(
  flags: FlagValues<typeof platformFlags>,
  items: Iterable<Package>,
): Promise<readonly Platform[] | undefined> {
  const { parsePlatform } = await import('@lkt/oci');
  if (flags.platforms !== undefined) return flags.platforms.map(parsePlatform);
  const skipped = flags['skip-platforms']?.map(parsePlatform);
  if (skipped === undefined) return undefined;
  const arches = new Set([...items].flatMap((item) => item.arches));
  for (const { os, architecture } of skipped) if (os === 'linux') arches.delete(architecture);
  if (arches.size > 0) return [...arches].map((architecture) => ({ os: 'linux', architecture }));
  throw new LktError('USAGE_INVALID', '--skip-platforms leaves no platform', {
    fix: 'see "arches" in build.yml',
  });
}

/** The flag of the commands for whole images, named as in LinuxKit. */
export const imageArchFlag = {
  arch: valueFlag('amd64', 'architecture of the image', { default: 'amd64' }),
};

/**
 * Rejects `--arch` of another architecture than amd64.
 * @param verb what the command does with images
 * @throws LktError UNSUPPORTED
 */
export function requireAmd64(arch: string, verb: 'boots' | 'builds'): void {
  if (arch === 'amd64') return;
  const why = 'PID 1 and the disk formats exist for amd64 alone';
  throw new LktError('UNSUPPORTED', `--arch ${arch}: lkt ${verb} images for amd64 only: ${why}`, {
    fix: 'omit --arch. Single packages are built for others: lkt pkg build --platforms',
  });
}
