import type { WorkerPool } from '@lkt/rebuild';
import type {
  BuildContext,
  BuildRequest,
  Engine,
  Limits,
  RemoteStepCache,
  SecretSource,
} from '@lkt/builder';
import type { Digest, Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { FindMirror } from '../debian/debian-package.ts';
import type { OtherImages } from './other-images.ts';

/** The tools and settings of a build, with those of the current package. */
export interface BuildTools {
  readonly store: Store;
  readonly engine: Engine;
  readonly mirror: FindMirror;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** Resource limits of each RUN. */
  readonly limits?: Limits;
  /** A step cache shared with other machines, for the native engine. */
  readonly cache?: RemoteStepCache;
  /** A remote cache in BuildKit's format. */
  readonly remoteCache?: NonNullable<BuildRequest['remoteCache']>;
  /** Environment with proxies and certificates, for ADD of URLs. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Sources of secrets by id. A package receives only those that its build.yml names. */
  readonly secrets?: ReadonlyMap<string, SecretSource>;
  /** Sockets of SSH agents by id. */
  readonly ssh?: ReadonlyMap<string, string>;
  /** The executor of RUN commands, as in `BuildRequest`. */
  readonly executor?: string;
  /** Build nothing. */
  readonly onlyKnown?: boolean;
  readonly builtHere?: boolean;
  readonly pullPackages?: boolean;
  /** Access to images in registries, under the policy. */
  readonly others?: OtherImages;
  /** Directory of package layouts that other machines built. */
  readonly layouts?: string | undefined;
  /** Returns the digests of the pins of the package, which imported images must match. */
  readonly pins?: () => Promise<ReadonlySet<Digest>>;
  /** As in `BuildContext`. */
  readonly later?: BuildContext['later'];
  /** Whether a check also compares steps that do not reach the image. */
  readonly checkEveryStep?: boolean;
  /** Workers for the second build of a check. */
  readonly workerPool?: () => Promise<WorkerPool>;
  /** Returns the number of processors for a build that starts now. */
  readonly cpus?: () => number;
}
