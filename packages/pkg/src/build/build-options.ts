import type { BuildRequest, Engine, Limits, RemoteStepCache, SecretSource } from '@lkt/builder';
import type { Reporter } from '@lkt/core';
import type { Platform, Reference, Store } from '@lkt/oci';
import type { GivenArg } from '../build-yml/build-args.ts';
import type { BuiltPackage } from './built-package.ts';
import type { FindMirror } from '../debian/debian-package.ts';
import type { Naming } from './naming.ts';
import type { FetchImage, OtherImages, RequireTrusted } from './other-images.ts';
import type { Recipe } from './recipe.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** What building packages needs and how it is done. */
export interface BuildOptions {
  readonly store: Store;
  readonly engine: Engine;
  readonly mirror: FindMirror;
  /** How images come into the store that no package of the workspace gives; by default they do not. */
  readonly fetchImage?: FetchImage;
  /** Whether such images may be used, as a policy of the workspace says; by default they may. */
  readonly requireTrusted?: (
    reference: Parameters<RequireTrusted>[0],
    workspace: Workspace,
  ) => ReturnType<RequireTrusted>;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** What each RUN may use. */
  readonly limits?: Limits;
  /** Steps that other machines have done. */
  readonly cache?: RemoteStepCache;
  /** The same for BuildKit, which has caches of its own. */
  readonly remoteCache?: NonNullable<BuildRequest['remoteCache']>;
  /** What runs their commands, as in `BuildRequest`. */
  readonly executor?: string;
  /** Build nothing: what has not been built is an error, NOT_FOUND. */
  readonly onlyKnown?: boolean;
  /** What was pulled, by `pullPackages`, counts for nothing. */
  readonly builtHere?: boolean;
  /** Take packages from their registries, by `fetchImage`, that the workspace pins as they are now, if they may be used. */
  readonly pullPackages?: boolean;
  /**
   * A directory with layouts of packages: what is there need not be built, and the targets are left there. What they hold
   * counts as built here.
   */
  readonly layouts?: string | undefined;
  /** References to packages that something outside of the packages has: what is taken from a layout has to be what they name. */
  readonly pins?: readonly Reference[];
  /** Build the targets although they have been built. */
  readonly force?: boolean;
  /** Do every step of the targets anew, if they are built. */
  readonly noCache?: boolean;
  /** `force`, `noCache` and `check` are also for what the targets use. */
  readonly deps?: boolean;
  /** Build the targets a second time in other surroundings, and compare. The engine has to be one that can. */
  readonly check?: boolean;
  /** Has a check look also into what does not reach the image. */
  readonly checkEveryStep?: boolean;
  /** For the targets; those that a Dockerfile does not declare are not used. */
  readonly buildArgs?: readonly GivenArg[];
  /** What the targets are called in the store, instead of what build.yml and the hash of the sources say. */
  readonly naming?: Naming;
  /** Where proxies and certificates are looked up, for ADD of addresses. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What secret mounts may be given, by id. A package gets those that its build.yml names. */
  readonly secrets?: ReadonlyMap<string, SecretSource>;
  /** Sockets of SSH agents for ssh mounts, by id. */
  readonly ssh?: ReadonlyMap<string, string>;
  /** Default: linux/amd64. A package is built for those of them that its `arches` has. */
  readonly platforms?: readonly Platform[];
  /** Packages built at once, which share the processors; default: as many as there are processors. */
  readonly jobs?: number;
}

/**
 * Called for each package before it is built and after all it uses has been; may change its Dockerfile.
 * @returns whether it has
 */
export type BeforeBuild = (
  item: Package,
  recipe: Recipe,
  built: ReadonlyMap<Package, BuiltPackage>,
) => Promise<boolean>;

/** Where a build in a workspace takes images from that no package there gives. */
export function otherImages(
  workspace: Workspace,
  { store, fetchImage, requireTrusted }: BuildOptions,
): OtherImages {
  return {
    store,
    fetchImage,
    requireTrusted: requireTrusted && (async (reference) => requireTrusted(reference, workspace)),
  };
}
