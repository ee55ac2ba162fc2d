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

/** What building needs besides the sources. */
export interface BuildTools {
  readonly store: Store;
  readonly engine: Engine;
  readonly mirror: FindMirror;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** What each RUN may use. */
  readonly limits?: Limits;
  /** Steps that other machines have done. */
  readonly cache?: RemoteStepCache;
  /** The same for BuildKit, which has caches of its own. */
  readonly remoteCache?: NonNullable<BuildRequest['remoteCache']>;
  /** Where proxies and certificates are looked up, for ADD of addresses. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What secret mounts may be given, by id. A package gets those that its build.yml names. */
  readonly secrets?: ReadonlyMap<string, SecretSource>;
  /** Sockets of SSH agents, by id. */
  readonly ssh?: ReadonlyMap<string, string>;
  /** What runs the commands, as in `BuildRequest`. */
  readonly executor?: string;
  /** Build nothing. */
  readonly onlyKnown?: boolean;
  readonly builtHere?: boolean;
  readonly pullPackages?: boolean;
  /** Where packages are pulled from, and whether they may be used. */
  readonly others?: OtherImages;
  /** Where layouts of packages are that others have built. */
  readonly layouts?: string | undefined;
  /** What the package is pinned with, for what is taken from there. */
  readonly pins?: () => Promise<ReadonlySet<Digest>>;
  /** As in `BuildContext`. */
  readonly later?: BuildContext['later'];
  /** Whether a check looks also into what does not reach the image. */
  readonly checkEveryStep?: boolean;
  /** Where a check builds again. */
  readonly workerPool?: () => Promise<WorkerPool>;
  /** How many processors a build that starts now may keep busy. */
  readonly cpus?: () => number;
}
