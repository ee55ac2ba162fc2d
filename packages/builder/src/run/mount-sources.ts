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
  /** Marks a path in the store as used; false if it does not exist. */
  readonly keep: (path: string) => Promise<boolean>;
  /** Owner of the cache mounts: root and other users do not share them. */
  readonly owner: string;
  readonly signal: AbortSignal;
  readonly credentials: Credentials;
  /** Files in memory; undefined if the step has no secret and no agent. */
  readonly privates: PrivateFiles | undefined;
  /** Mounts layers read-only. */
  readonly mountLower: (layers: Layers) => Promise<string>;
  /** Mounts layers writable, for one command. */
  readonly mountOwn: (layers: Layers) => Promise<string>;
}
