import type { Context } from '../context/context.ts';
import type { Layers } from '../layers/layers.ts';
import type { Credentials } from '../secrets/secrets.ts';
import type { PrivateFiles } from '../secrets/private-files.ts';
import type { Job } from '../worker/job.ts';

/** The sources of a RUN's mounts. */
export interface MountSources {
  readonly job: Job;
  readonly context: Context;
  /** Directory of the store. */
  readonly store: string;
  /** Marks something there as used; false when it is not there. */
  readonly keep: (path: string) => Promise<boolean>;
  /** Whose the caches are: what root leaves in one is not for others, nor the other way round. */
  readonly owner: string;
  readonly signal: AbortSignal;
  readonly credentials: Credentials;
  /** For what must not be on a disk. */
  readonly privates: PrivateFiles | undefined;
  /** The merged file system of a chain, read-only. */
  readonly mountLower: (layers: Layers) => Promise<string>;
  /** The same, to be written to by one command. */
  readonly mountOwn: (layers: Layers) => Promise<string>;
}
