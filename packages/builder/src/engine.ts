import type { Digest, Reporter, SourceFile } from '@lkt/core';
import type { Descriptor, Platform, Store } from '@lkt/oci';
import type { ContextFile } from './context/context.ts';
import type { RemoteStepCache } from './remote-cache/remote-step-cache.ts';
import type { Limits } from './limits.ts';
import type { WorkerProcess } from './worker/worker-process.ts';
import type { StepResult, Variation } from './variation.ts';

/** Where the bytes of a secret are. They are read when a RUN needs them. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly value: string };

/** A Dockerfile and everything it may depend on. Two equal requests give one image, on any machine. */
export interface BuildRequest {
  /** For progress: the start of the ids of steps. */
  readonly name: string;
  readonly dockerfile: SourceFile;
  readonly context: readonly ContextFile[];
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Names of those that every build of this Dockerfile has, for its warnings. */
  readonly alwaysGiven?: ReadonlySet<string>;
  /** Added to those of the Dockerfile, whose labels they replace. */
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: Platform;
  /** BUILDPLATFORM; default: as `buildPlatformFor` says. */
  readonly buildPlatform?: Platform;
  /** Whether RUN has the network of the host; else it has a loopback interface of its own only. */
  readonly network: boolean;
  /** References that FROM, `COPY --from` and mounts name, variables replaced; digests of images or indexes in the store. */
  readonly bases: ReadonlyMap<string, Digest>;
  /** Stage to build; default: the last. */
  readonly target?: string;
  /** Runs every step again. */
  readonly noCache?: boolean;
  /**
   * What `RUN --mount=type=secret` can have, by id. Part of no cache key: a secret that changes runs no step again.
   * None may end in a layer.
   */
  readonly secrets?: ReadonlyMap<string, SecretSource>;
  /** Sockets of SSH agents for `RUN --mount=type=ssh`, by id (`default` where it names none). Part of no cache key. */
  readonly ssh?: ReadonlyMap<string, string>;
  /**
   * References in registries to take steps from and to put them at, each engine in its own form. Part of no cache key.
   */
  readonly remoteCache?: { readonly to?: string; readonly from?: readonly string[] };
  /** How many RUNs go on at once; default: the processors there are. */
  readonly cpus?: number;
  /** Makes a blob of every layer, also of those that are not in the image. */
  readonly keepLayers?: boolean;
  /** Other surroundings, which must not change the image. Native engine only. */
  readonly variation?: Variation;
  /** What each RUN may use. Part of no cache key. */
  readonly limits?: Limits;
  /**
   * What runs the commands of RUN: `init` (the default) for lkt's own, `bwrap` for bubblewrap, `runc`, `crun` or the
   * path of another OCI runtime. The image is the same. Part of no cache key.
   */
  readonly executor?: string;
}

export interface BuildContext {
  readonly store: Store;
  /** Digests of files of the build context that are known already, as a `Context` remembers them. Native engine only. */
  readonly digests?: ReadonlyMap<string, Digest>;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal;
  /** Where proxies and certificates for ADD of addresses are looked up, as in `HttpOptions`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What other machines have done. Native engine only; BuildKit has `remoteCache`. */
  readonly cache?: RemoteStepCache;
  /** Told what each step gave, once all are done. Native engine only. */
  readonly onStep?: (result: StepResult) => void;
  /**
   * Given what still goes on when a build returns: its worker tidies up. Nothing of the build is left once that has
   * settled. By default a build waits for it. Native engine only.
   */
  readonly later?: (work: Promise<unknown>) => void;
  /** Has the build made by this worker, taken for it in the world of the request. Native engine only. */
  readonly worker?: WorkerProcess | undefined;
}

/** Builds images from Dockerfiles. Which engine did it cannot be told from the image. */
export interface Engine {
  /** Where the commands of builds for a platform run, which may be another machine; default: as `buildPlatformFor` says. */
  readonly buildPlatform?: (platform: Platform) => Platform;
  /**
   * Builds one image for one platform into the store. The descriptor is of the manifest, with its platform; it has no
   * tag yet.
   * @throws LktError DOCKERFILE_INVALID, BUILD_FAILED (with the end of the log), PIN_MISSING (a base that is not among
   * `bases`), HOST_UNSUPPORTED, UNSUPPORTED, INTERRUPTED, and what the store throws.
   */
  build(request: BuildRequest, context: BuildContext): Promise<Descriptor>;
}
