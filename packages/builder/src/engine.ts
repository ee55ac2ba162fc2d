import type { Digest, Reporter, SourceFile } from '@lkt/core';
import type { Descriptor, Platform, Store } from '@lkt/oci';
import type { Context, ContextFile } from './context/context.ts';
import type { RemoteSteps } from './remote-cache/remote-steps.ts';
import type { Limits } from './limits.ts';
import type { WorkerProcess } from './worker/worker-process.ts';
import type { StepResult, Variation } from './variation.ts';

/** The source of a secret. It is read when a RUN needs it. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly value: string };

/** How RUN commands run. */
export interface RunOptions {
  /**
   * Secrets for `RUN --mount=type=secret`, by id. Not part of a cache key: a changed secret does
   * not rerun a step. A layer must not contain one.
   */
  readonly secrets?: ReadonlyMap<string, SecretSource>;
  /**
   * Sockets of SSH agents for `RUN --mount=type=ssh`, by id (`default` if the mount has none). Not
   * part of a cache key.
   */
  readonly ssh?: ReadonlyMap<string, string>;
  /** Limits of each RUN. Not part of a cache key. */
  readonly limits?: Limits;
  /**
   * Executor of RUN commands: `init` (built in, the default), `bwrap`, `runc`, `crun` or the path
   * of another OCI runtime. All give the same image. Not part of a cache key.
   */
  readonly executor?: string;
}

/** A Dockerfile and all its inputs. Two equal requests give the same image on any machine. */
export interface BuildRequest extends RunOptions {
  /** Prefix of the step ids in progress events. */
  readonly name: string;
  readonly dockerfile: SourceFile;
  readonly context: readonly ContextFile[];
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Names of build args that every build of this Dockerfile has; they cause no warnings. */
  readonly alwaysGiven?: ReadonlySet<string>;
  /** Labels that override those of the Dockerfile. */
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: Platform;
  /** BUILDPLATFORM; default: `buildPlatformFor(platform)`. */
  readonly buildPlatform?: Platform;
  /** Whether RUN uses the host's network; otherwise it has only a loopback interface. */
  readonly network: boolean;
  /**
   * Digests of images or indexes in the store, by the references of FROM, `COPY --from` and mounts
   * after variable expansion.
   */
  readonly bases: ReadonlyMap<string, Digest>;
  /** The stage to build; default: the last. */
  readonly target?: string;
  /**
   * Cache mounts of one id are shared by the builds of one scope. Not part of a cache key. Native
   * engine only.
   */
  readonly cacheScope?: string;
  /** Begins all cache mounts empty, and keeps none for later builds. Not part of a cache key. */
  readonly emptyCaches?: boolean;
  /** Runs every step again. */
  readonly noCache?: boolean;
  /**
   * Registry references to import steps from and export them to, in the engine's own form. Not part
   * of a cache key.
   */
  readonly remoteCache?: { readonly to?: string; readonly from?: readonly string[] };
  /** Number of RUNs that may run in parallel; default: the number of processors. */
  readonly cpus?: number;
  /** Writes a blob of every layer, also of those outside the image. */
  readonly keepLayers?: boolean;
  /** A varied environment, which must not change the image. Native engine only. */
  readonly variation?: Variation;
}

/** Parts of a build that are not in its request: the store, its environment, and its progress. */
export interface BuildContext {
  readonly store: Store;
  /** The build context of the request as a tree, as far as it has been read. Native engine only. */
  readonly tree?: Context | undefined;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal;
  /** The environment for proxies and certificates of ADD, as in `HttpOptions`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Step records of other machines. Native engine only; BuildKit has `remoteCache`. */
  readonly cache?: RemoteSteps;
  /** Called with the result of each step, once all are done. Native engine only. */
  readonly onStep?: (result: StepResult) => void;
  /**
   * The worker that solves the build, started for the environment of the request. Native engine
   * only.
   */
  readonly worker?: WorkerProcess | undefined;
}

/** Builds images from Dockerfiles. All engines give the same image. */
export interface Engine {
  /**
   * Returns the platform on which the commands of a build run, which may be another machine's;
   * default: `buildPlatformFor`.
   */
  readonly buildPlatform?: (platform: Platform) => Platform;
  /**
   * Builds an image for one platform into the store. Returns the descriptor of its manifest, with
   * the platform; the image has no tag yet.
   * @throws LktError DOCKERFILE_INVALID, BUILD_FAILED (with the end of the log), PIN_MISSING (a
   * base that is not among `bases`), HOST_UNSUPPORTED, UNSUPPORTED, INTERRUPTED, and what the store
   * throws.
   */
  build(request: BuildRequest, context: BuildContext): Promise<Descriptor>;
  /** Ends processes that wait for further builds. A later build starts others. */
  readonly close?: () => Promise<void>;
}
