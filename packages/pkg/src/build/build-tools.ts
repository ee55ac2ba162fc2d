import type { WorkerPool } from '@lkt/rebuild';
import type { Digest } from '@lkt/core';
import type { BuildOptions } from './build-options.ts';
import type { OtherImages } from './other-images.ts';

/** The options of a build, with access to the state that its packages share. */
export interface BuildTools extends Omit<BuildOptions, 'pins'> {
  /** Access to images in registries, under the policy. */
  readonly others: OtherImages;
  /** Returns the digests of the pins of the package, which imported images must match. */
  readonly pins: () => Promise<ReadonlySet<Digest>>;
  /** Returns the workers for second builds. */
  readonly workerPool: () => Promise<WorkerPool>;
  /** Returns the number of processors for a build that starts now. */
  readonly cpus: () => number;
}
