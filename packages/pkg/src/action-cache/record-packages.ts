import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Store, Tag } from '@lkt/oci';
import type { BuildArg } from '../build-yml/build-args.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { nameOf } from '../build/other-images.ts';
import { BUILD_YML } from '../workspace/package-dirs.ts';
import { declaredName } from '../workspace/unparsed-packages.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { type CheckoutState, treesOf } from './checkout-state.ts';
import {
  type ActionPart,
  type CachedAction,
  declaredIn,
  type FileState,
  fileState,
  type FoundAction,
  indexPath,
} from './find-action.ts';
import {
  hasFixedPaths,
  haveHashes,
  noTrustFiles,
  patternMatches,
  sourceDirsOf,
  unchangedFiles,
  workspaceCheckout,
  workspaceFiles,
} from './record-action.ts';

/** The inputs of a build of packages. */
export interface PackageInputs {
  readonly workspace: Workspace;
  readonly store: Store;
  /** The state of the store's index when the build began. */
  readonly index: FileState | undefined;
  /** Build arguments of the command line. */
  readonly buildArgs: readonly BuildArg[];
  /** The packages that the build looked at. */
  readonly built: readonly BuiltPackage[];
}

/**
 * Returns an entry for the action cache with a part for each package, by its directory: for those
 * of this build that were in the store, and for those that an earlier entry had and that are
 * unchanged. Any build.yml may declare the name that a reference uses, so all parts depend on the
 * names in all of these files.
 * @param results of the packages of this build
 * @param found the earlier entry, as the command found it
 * @param order the directories of all packages of the command
 * @returns undefined if nothing can be reused, or nothing more than before
 */
export async function recordPackages<Result>(
  inputs: PackageInputs,
  results: ReadonlyMap<string, Result>,
  found: FoundAction<Result> | undefined,
  order: readonly string[],
): Promise<CachedAction<Result> | undefined> {
  const { workspace, store, built: looked } = inputs;
  const isMore = looked.some(({ item, cached }) => cached && found?.parts[item.dir] === undefined);
  if (!isMore || workspace.catalog.problems.length > 0) return undefined;
  const read = looked.flatMap(({ hashes }) => [...(hashes?.keys() ?? [])]);
  const state = workspaceCheckout(workspace, read);
  if (state === undefined) return undefined;
  const files = unchangedFiles([...noTrustFiles(workspace), ...workspaceFiles(workspace)]);
  const declared = declaredStates(workspace);
  const index = fileState(indexPath(store.dir));
  if (files === undefined || declared === undefined || index === undefined) return undefined;
  const tags = await store.tags();
  if (fileState(indexPath(store.dir)) !== index) return undefined;
  const { checkout } = state;
  const parts = new Parts(inputs, state, tags, index === inputs.index);
  const isSame =
    found !== undefined &&
    isDeepStrictEqual(found.files, files) &&
    isDeepStrictEqual(found.declared, declared) &&
    isDeepStrictEqual(found.checkout, JSON.parse(JSON.stringify(checkout)));
  const built = new Map(looked.map((one) => [one.item.dir, one]));
  const recorded: Record<string, ActionPart<Result>> = {};
  for (const dir of order) {
    const earlier = isSame ? found.parts[dir] : undefined;
    const part = parts.of(built.get(dir), results.get(dir)) ?? earlier;
    if (part === undefined || !parts.haveNames(part)) continue;
    recorded[dir] = part;
  }
  const isPartial = order.some((dir) => recorded[dir] === undefined);
  const names = { dir: store.dir, index };
  return { files, declared, checkout, store: names, isPartial, parts: recorded };
}

/** Returns the name in each build.yml, or undefined if one has changed since it was read. */
function declaredStates(workspace: Workspace): Readonly<Record<string, string>> | undefined {
  const states: Record<string, string> = {};
  for (const [dir, { text }] of workspace.catalog.descriptions()) {
    const path = join(dir, BUILD_YML);
    const state = declaredName(text);
    if (declaredIn(path) !== state) return undefined;
    states[path] = state;
  }
  return states;
}

/** Makes the parts of the packages of a build. */
class Parts {
  readonly #inputs: PackageInputs;
  readonly #state: CheckoutState;
  readonly #tags: readonly Tag[];
  readonly #digests: ReadonlyMap<string, string>;
  readonly #isIndexUnchanged: boolean;
  readonly #matches: ReturnType<typeof patternMatches>;
  /** The sources that each part depends on; undefined for its own. */
  readonly #allDirs: readonly string[] | undefined;
  #byName: ReadonlyMap<string | undefined, readonly Tag[]> | undefined;

  constructor(
    inputs: PackageInputs,
    state: CheckoutState,
    tags: readonly Tag[],
    isIndexUnchanged: boolean,
  ) {
    this.#inputs = inputs;
    this.#state = state;
    this.#tags = tags;
    this.#digests = new Map(
      tags.map(({ reference, descriptor }) => [reference, descriptor.digest]),
    );
    this.#isIndexUnchanged = isIndexUnchanged;
    const { workspace, built, buildArgs } = inputs;
    this.#matches = patternMatches(workspace, buildArgs);
    // A package elsewhere is known only because another package or the command line names it.
    const usual = new Set(state.checkout.packages);
    if (![...workspace.catalog.packages.values()].every(({ dir }) => usual.has(dir)))
      this.#allDirs = built
        .flatMap(({ hashes }) => [...(hashes?.keys() ?? [])])
        .flatMap(sourceDirsOf);
  }

  /**
   * Reports whether a package leads to the same directories as long as they have the same files.
   * Outside git, no package may be elsewhere either.
   */
  #hasFixedPaths(item: Package): boolean {
    const isOutside = this.#state.checkout.top === undefined;
    if (isOutside && this.#allDirs !== undefined) return false;
    return hasFixedPaths(item, this.#inputs.buildArgs);
  }

  /** Returns the part of a package; undefined if its result must not be reused. */
  of<Result>(
    built: BuiltPackage | undefined,
    result: Result | undefined,
  ): ActionPart<Result> | undefined {
    if (built === undefined || result === undefined) return undefined;
    const { cached, hashes, index, images, uses, stored } = built;
    if (!cached || hashes === undefined || !haveHashes(this.#state, hashes)) return undefined;
    if (![...hashes.keys()].every((item) => this.#hasFixedPaths(item))) return undefined;
    const names = new Map(stored.names);
    for (const other of stored.otherNames) {
      const tags = this.#tagsOf(other);
      // Another process may have named another image so since the build read the names.
      if (!this.#isIndexUnchanged || tags.length === 0) return undefined;
      for (const { reference, descriptor } of tags) names.set(reference, descriptor.digest);
    }
    // A hit verifies the manifests against their digests, as the build does.
    const { store } = this.#inputs;
    const files = unchangedFiles(
      [index, ...images].map(({ digest }) => [store.blobPath(digest), digest] as const),
    );
    const dirs = this.#allDirs ?? [...hashes.keys()].flatMap(sourceDirsOf);
    const trees = treesOf(this.#state, dirs);
    const matches = this.#matches;
    if (files === undefined || trees === undefined || matches === undefined) return undefined;
    return {
      trees,
      files,
      matches,
      uses: uses.map(({ dir }) => dir),
      names: Object.fromEntries(names),
      storePaths: [...new Set(stored.paths)],
      result,
    };
  }

  /** Reports whether the store has the names of a part. */
  haveNames({ names }: ActionPart<unknown>): boolean {
    return Object.entries(names).every(([name, digest]) => this.#digests.get(name) === digest);
  }

  #tagsOf(name: string): readonly Tag[] {
    this.#byName ??= Map.groupBy(this.#tags, ({ reference }) => nameOf(reference));
    return this.#byName.get(name) ?? [];
  }
}
