import type { BuildContext, BuildRequest, Engine, RunOptions } from '@lkt/builder';
import { type Semaphore, silentReporter } from '@lkt/core';
import type { Platform, Reference } from '@lkt/oci';
import type { WorkerPool } from '@lkt/rebuild';
import type { BuildArg } from '../build-yml/build-args.ts';
import type { FindMirror } from '../debian/debian-package.ts';
import type { CollectionImages } from './collection-images.ts';
import type { OtherImages } from './other-images.ts';
import type { Recipes } from './recipe.ts';
import type { Sources } from '../sources/sources.ts';
import type { Naming } from './tag-package.ts';
import type { Workspace } from '../workspace/workspace.ts';

/** The tools and settings of a build. */
export interface BuildOptions
  extends
    OtherImages,
    Pick<BuildContext, 'reporter' | 'signal' | 'env' | 'cache'>,
    Pick<BuildRequest, 'remoteCache'> {
  readonly engine: Engine;
  readonly mirror: FindMirror;
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
  /**
   * The names of packages that are known to be in the store unchanged, by their directories. The
   * build looks at those that the targets use, and reports the others as cached.
   */
  readonly unchanged?: ReadonlyMap<string, string>;
  /** References to packages from outside the workspace's Dockerfiles. A layout must match them. */
  readonly pins?: readonly Reference[];
  /** Write SBOM and provenance of each package; default true. A later build writes missing ones. */
  readonly attest?: boolean;
  /** Build the targets even if the store has their results. */
  readonly force?: boolean;
  /** Ignore cached steps of the targets. */
  readonly noCache?: boolean;
  /** As in `BuildRequest`. */
  readonly emptyCaches?: boolean;
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
  readonly buildArgs?: readonly BuildArg[];
  /** Names of the targets in the store; default: from build.yml and the source hash. */
  readonly naming?: Naming;
  /** Default: linux/amd64. A package is built for those of them that its `arches` lists. */
  readonly platforms?: readonly Platform[];
  /**
   * Maximum number of parallel package builds. Default: the number of processors, which they share.
   */
  readonly jobs?: number;
}

/** The options of a build, with the state that its packages share. */
export interface BuildTools extends BuildOptions {
  readonly workspace: Workspace;
  readonly sources: Sources;
  readonly recipes: Recipes;
  /** Recipes without the hashes of packages: for the names and pins in Dockerfiles. */
  readonly namesOnly: Recipes;
  readonly collectionImages: CollectionImages;
  /** Held by each build of a package that runs. */
  readonly builds: Semaphore;
  /** The workers for second builds, with `check`. */
  readonly workerPool: WorkerPool | undefined;
}

/** Modes of the build of one package, which depend on whether it is a target. */
export type BuildMode = Required<Pick<BuildOptions, 'force' | 'noCache' | 'check'>>;

/** Returns options that look up results, but build, pull and report nothing. */
export function knownOnly(options: BuildOptions): BuildOptions {
  return { ...options, fetchImage: undefined, onlyKnown: true, reporter: silentReporter };
}
