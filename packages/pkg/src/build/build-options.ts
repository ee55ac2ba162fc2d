import type { BuildContext, BuildRequest, Engine, RunOptions } from '@lkt/builder';
import type { Platform, Reference } from '@lkt/oci';
import type { BuildArgOverride } from '../build-yml/build-args.ts';
import type { BuiltPackage } from './built-package.ts';
import type { FindMirror } from '../debian/debian-package.ts';
import type { Naming } from './naming.ts';
import type { FetchImage, OtherImages, RequireTrusted } from './other-images.ts';
import type { Recipe } from './recipe.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** The tools and settings of a build. */
export interface BuildOptions
  extends
    Pick<BuildContext, 'store' | 'reporter' | 'signal' | 'env' | 'cache'>,
    Pick<BuildRequest, 'remoteCache'> {
  readonly engine: Engine;
  readonly mirror: FindMirror;
  /** Pulls images that are not packages of the workspace. Without it, the store must have them. */
  readonly fetchImage?: FetchImage;
  /** Reports a policy violation by such an image. Without it, every pinned image may be used. */
  readonly requireTrusted?: (
    reference: Parameters<RequireTrusted>[0],
    workspace: Workspace,
  ) => ReturnType<RequireTrusted>;
  /** Secrets are by id; a package receives only those that its build.yml names. */
  readonly run?: RunOptions;
  /** Build nothing: fail with NOT_FOUND for a package without a result. */
  readonly onlyKnown?: boolean;
  /** Ignore results that `pullPackages` pulled. */
  readonly builtHere?: boolean;
  /**
   * Pull packages by `fetchImage` if the workspace pins their current sources and the policy
   * allows.
   */
  readonly pullPackages?: boolean;
  /**
   * A directory of package layouts. Packages in it are imported instead of built, and count as
   * built here. The targets are written to it.
   */
  readonly layouts?: string | undefined;
  /** References to packages from outside the workspace's Dockerfiles. A layout must match them. */
  readonly pins?: readonly Reference[];
  /** Build the targets even if the store has their results. */
  readonly force?: boolean;
  /** Ignore cached steps of the targets. */
  readonly noCache?: boolean;
  /** Apply `force`, `noCache` and `check` to the dependencies of the targets as well. */
  readonly deps?: boolean;
  /**
   * Build the targets a second time in a varied environment and compare. The engine must support
   * it.
   */
  readonly check?: boolean;
  /** Let `check` also compare steps that do not reach the image. */
  readonly checkEveryStep?: boolean;
  /** Build arguments for the targets. A Dockerfile without a matching ARG ignores them. */
  readonly buildArgs?: readonly BuildArgOverride[];
  /** Names of the targets in the store; default: from build.yml and the source hash. */
  readonly naming?: Naming;
  /** Default: linux/amd64. A package is built for those of them that its `arches` lists. */
  readonly platforms?: readonly Platform[];
  /**
   * Maximum number of parallel package builds. Default: the number of processors, which they share.
   */
  readonly jobs?: number;
}

/**
 * Called before a package is built and after its dependencies are. May change the Dockerfile.
 * @returns whether the Dockerfile was changed
 */
export type BeforeBuild = (
  item: Package,
  recipe: Recipe,
  built: ReadonlyMap<Package, BuiltPackage>,
) => Promise<boolean>;

/** Returns the access of a build to images that are not packages of the workspace. */
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
