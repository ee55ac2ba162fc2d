import { LktError } from '@lkt/core';
import type { Platform } from '@lkt/oci';
import type { Package } from '@lkt/pkg';
import { Flags } from './options.ts';

/** For which platforms packages are built; the names are LinuxKit's. */
export const platformFlags = {
  platforms: Flags.string({
    summary: 'build for these only',
    helpValue: 'linux/amd64,…',
    delimiter: ',',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'skip-platforms': Flags.string({
    summary: 'build for all that build.yml names, without these',
    helpValue: 'linux/arm64,…',
    delimiter: ',',
    multiple: true,
    multipleNonGreedy: true,
    exclusive: ['platforms'],
  }),
};

/**
 * The platforms that the flags leave; undefined without any.
 * @throws LktError USAGE_INVALID when it is none
 */
export async function wantedPlatforms(
  flags: {
    readonly platforms?: readonly string[] | undefined;
    readonly 'skip-platforms'?: readonly string[] | undefined;
  },
  items: Iterable<Package>,
): Promise<readonly Platform[] | undefined> {
  const { parsePlatform } = await import('@lkt/oci');
  if (flags.platforms !== undefined) return flags.platforms.map(parsePlatform);
  const skipped = flags['skip-platforms']?.map(parsePlatform);
  if (skipped === undefined) return undefined;
  const arches = new Set([...items].flatMap((item) => item.arches));
  for (const { os, architecture } of skipped) if (os === 'linux') arches.delete(architecture);
  if (arches.size > 0) return [...arches].map((architecture) => ({ os: 'linux', architecture }));
  throw new LktError('USAGE_INVALID', '--skip-platforms leaves none', {
    fix: 'see "arches" in build.yml',
  });
}
