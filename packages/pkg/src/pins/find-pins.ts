import type { Reference } from '@lkt/oci';
import { isInside } from '@lkt/git';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { findBuilt } from '../build/find-built.ts';
import { readSources, type Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { checkPin, pinOf } from './check-pin.ts';
import { type DockerfilePins, findDockerfilePins, type PinChange } from './dockerfile-pins.ts';
import { type ForeignImages, foreignPin } from './foreign-images.ts';
import { ownRecipes } from './own-recipes.ts';
import { outsideGit, publishedReference } from './pin-workspace.ts';
import { withPin } from './text-edit.ts';

/** Stands in a reference for a digest that only a build or a registry supplies. */
const UNKNOWN = '…';

/** The digest of an image that is not known here. */
export const UNKNOWN_DIGEST: string = `sha256:${UNKNOWN}`;

/** Changes that `pinWorkspace` would make, as far as they are known without a build. */
export interface FoundPins {
  readonly changes: readonly PinChange[];
  /**
   * Returns the state of a reference to a package.
   * @param isLocked whether its digest is from the lock file of an image config: it needs no tag
   */
  readonly check: (item: Package, reference: Reference, isLocked: boolean) => Promise<CheckedPin>;
}

/**
 * The state of a pin. `right`: its tag names the current sources, and its digest their image, if
 * the store has it. `unknown`: it has no tag, and the store lacks the image.
 */
interface CheckedPin {
  readonly state: 'right' | 'wrong' | 'unknown';
  /** `org/image:HASH@DIGEST`, with `…` for values that only a build supplies. */
  readonly now: string;
}

/**
 * Finds the references in Dockerfiles that `pinWorkspace` would change. A reference to a package
 * whose own Dockerfile would change counts as changed. Builds, pulls and writes nothing.
 * @param foreign resolves the tags of foreign images
 * @throws the errors of `pinWorkspace`, but for those of builds
 */
export async function findPins(
  workspace: Workspace,
  targets: readonly Package[],
  options: BuildOptions,
  foreign: ForeignImages,
): Promise<FoundPins> {
  const { signal } = options;
  const recipes = await ownRecipes(workspace, targets, options);
  const pins = new PackagePins(
    await readSources(workspace, workspace.known, { signal }),
    await findBuilt(
      workspace,
      [...new Set([...targets, ...recipes.map(({ item }) => item)])],
      options,
    ),
    options,
  );
  const check: FoundPins['check'] = async (...args) => pins.check(...args);
  for (;;) {
    const found: DockerfilePins[] = [];
    for (const { item, recipe } of recipes)
      found.push(
        await findDockerfilePins(workspace, item, recipe, async (use) => {
          if (use.package === undefined) return foreignPin(recipe.dockerfile.file, use, foreign);
          const { state, now } = await pins.check(use.package, use.parsed, false);
          return state === 'right' ? undefined : withPin(use.text, now);
        }),
      );
    const paths = found.flatMap(({ texts }) => [...texts.keys()]);
    const before = pins.changing.size;
    for (const item of workspace.packages.values())
      if (paths.some((path) => contains(item, path))) pins.changing.add(item);
    // A package that will change makes the references to it stale.
    if (pins.changing.size === before)
      return { changes: found.flatMap(({ changes }) => changes), check };
  }
}

/** Reports whether a file is among the sources of a package. */
function contains({ dir, extraSources }: Package, path: string): boolean {
  return isInside(path, dir) || extraSources.some(({ source }) => isInside(path, source));
}

class PackagePins {
  /** Packages whose sources pinning changes. */
  readonly changing = new Set<Package>();
  readonly #sources: Pick<Sources, 'hash'>;
  readonly #built: ReadonlyMap<Package, BuiltPackage>;
  readonly #options: BuildOptions;

  constructor(
    sources: Pick<Sources, 'hash'>,
    built: ReadonlyMap<Package, BuiltPackage>,
    options: BuildOptions,
  ) {
    this.#sources = sources;
    this.#built = built;
    this.#options = options;
  }

  async check(item: Package, reference: Reference, isLocked: boolean): Promise<CheckedPin> {
    const now = this.#now(item);
    const { tag, digest } = reference;
    const [name = '', known = ''] = now.split('@');
    const isTagRight = tag === undefined ? isLocked : name === `${item.name}:${tag}`;
    if (digest === undefined || !isTagRight || this.changing.has(item))
      return { state: 'wrong', now };
    if (known === UNKNOWN_DIGEST) return { state: tag === undefined ? 'unknown' : 'right', now };
    const built = this.#built.get(item);
    const isRight =
      digest === known ||
      (built !== undefined &&
        (await checkPin(reference, built, this.#options.store)) === undefined);
    return { state: isRight ? 'right' : 'wrong', now };
  }

  /** Returns the current pin of a package, as far as it is known. */
  #now(item: Package): string {
    const published = publishedReference(item);
    if (published !== undefined) return published;
    if (this.changing.has(item)) return `${item.name}:${UNKNOWN}@${UNKNOWN_DIGEST}`;
    const { committed } = this.#sources.hash(item);
    if (committed === undefined) throw outsideGit(item);
    const built = this.#built.get(item);
    return (built && pinOf(built)) ?? `${item.name}:${committed}@${UNKNOWN_DIGEST}`;
  }
}
