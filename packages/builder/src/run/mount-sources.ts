import type { LayerMounts } from '../layers/layer-mounts.ts';
import type { Credentials } from '../secrets/secrets.ts';
import type { PrivateFiles } from '../secrets/private-files.ts';
import type { JobContext } from '../worker/worker-context.ts';

/** The sources of a RUN's mounts. */
export interface MountSources extends JobContext {
  readonly credentials: Credentials;
  /** Files in memory; undefined if the step has no secret and no agent. */
  readonly privates: PrivateFiles | undefined;
  readonly mounts: LayerMounts;
}
