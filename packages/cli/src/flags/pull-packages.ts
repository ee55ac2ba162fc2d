import type { BuildOptions } from '@lkt/pkg';
import { Flags } from './options.ts';

export const pullPackagesFlag = {
  pull: Flags.boolean({
    summary:
      'take packages that the store lacks from their registry, by the digests that the checkout pins for their sources, instead of building them',
    exclusive: ['offline'],
  }),
};

/** What the flag says to a build. */
export function pullPackages({
  pull = false,
}: {
  readonly pull?: boolean;
}): Pick<BuildOptions, 'pullPackages'> {
  return pull ? { pullPackages: true } : {};
}
