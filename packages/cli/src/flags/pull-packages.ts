import type { BuildOptions } from '@lkt/pkg';
import { switchFlag } from './options.ts';

export const pullPackagesFlag = {
  pull: switchFlag(
    'pull packages missing from the store by the digests that the checkout pins, instead of building them',
    { exclusive: ['offline'] },
  ),
};

/** Returns the build options for `--pull`. */
export function pullPackages({
  pull = false,
}: {
  readonly pull?: boolean;
}): Pick<BuildOptions, 'pullPackages'> {
  return pull ? { pullPackages: true } : {};
}
